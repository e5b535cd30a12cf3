"""What several test files share: a small demo, run for real, once; a tiny model; a browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.browsing import ARGUMENTS, PROGRAMS

# A shell without job control starts what it puts in the background with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class QuickDemo:
    """A finished `nameplate demo --quick`: its folder and what it printed."""

    folder: Path
    result: dict[str, Any]


@pytest.fixture(scope="session")
def quick_demo(tmp_path_factory: pytest.TempPathFactory) -> QuickDemo:
    folder = tmp_path_factory.mktemp("quick") / "demo"
    command = [sys.executable, "-m", "nameplate", "demo", "--quick", "--json", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return QuickDemo(folder, json.loads(done.stdout))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For tiny models: their products are slower on two threads, and far slower on two busy ones."""
    # Not at the top of this file: tests that need no torch should not wait for it.
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def single_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Products in float32, as on a machine that has no short ones: for sums that must agree to the last digits."""
    # Not at the top of this file: tests that need no torch should not wait for it.
    import torch

    from nameplate.models.precision import compute_dtype

    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    compute_dtype.cache_clear()
    yield
    compute_dtype.cache_clear()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model to train from and to ask, for all tests of a file: who changes it changes a copy."""
    # Not at the top of this file: tests that need no torch should not wait for it.
    from tests.models.tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


# One a module: while it is open, nothing else in this thread can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        reason = f"none of {', '.join(PROGRAMS)} is installed: the page was not opened in a browser"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a real file system of 64 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a real small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
