"""On a device that is not this processor nothing is left behind, and the same is learned.

A simulated one: see tests/pretended_gpu.py for what that shows and what not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .pretended_runs import WAYS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.stages.pretended_runs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def test_a_tensor_that_was_left_behind_is_refused(found: dict[str, Any]) -> None:
    assert found["mixed"].startswith("Expected all tensors to be on the same device: aten.add.Tensor")


@pytest.mark.parametrize("way", WAYS)
def test_training_and_scoring_leave_nothing_behind(found: dict[str, Any], way: str) -> None:
    """Losses were bit-equal but for text that is read once here alone: there they differed by 5e-5."""
    here, there = found[way]["here"], found[way]["there"]
    assert there["losses"] == pytest.approx(here["losses"], rel=1e-4)
    assert there["models"] == here["models"]
    assert [each["validation"] for each in there["loss"]] == pytest.approx(
        [each["validation"] for each in here["loss"]], rel=1e-4
    )
    assert there["checks"] == here["checks"]
