"""What several test files share: one small demo, run for real, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
