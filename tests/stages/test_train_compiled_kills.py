"""`kill -9` while layers run compiled by torch's real compiler: all goes on as it was, its cache kept or emptied."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from tests.models.tiny_run import write_tiny_run

from nameplate.models.step.compiling import has_compiler
from nameplate.recipe import TrainSection
from nameplate.stages.train import read_training
from nameplate.store.fingerprint import folder_fingerprint
from nameplate.store.rundir import RunDirectory

from .kill_points import train_compiled

SECTION = TrainSection.model_validate(
    {
        "vision": {"mode": "frozen"},
        "projector": {"mode": "full", "lr": 1e-2},
        "language": {"mode": "full", "lr": 3e-3},
        "epochs": 3,
        "checkpoint_every_epochs": 1,
        "batch_size": 6,
        "memory": {"micro_batch_size": 3, "compile": "on", "prefix": "off"},
    }
)

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no C++ compiler")


def start(root: Path, base: Path, cache: Path, point: str | None = None) -> BaseProcess:
    server: ForkServerContext = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tests.stages.kill_points"])
    arguments = (str(root), str(base), SECTION.model_dump_json(), str(cache), point)
    process = server.Process(target=train_compiled, args=arguments, daemon=True)
    process.start()
    return process


# A layer is compiled twice from nothing: half a minute each, and ten times that where many want the same cores.
@pytest.mark.timeout(1800)
def test_killed_compiled_training_goes_on_as_if_it_had_not_been(tmp_path: Path, base: Path) -> None:
    whole, kept, gone = (tmp_path / name for name in ("whole", "kept", "gone"))
    write_tiny_run(whole)
    write_tiny_run(kept)
    killed = start(kept, base, tmp_path / "cache", "inside a step")
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert json.loads((kept / "train" / "compiled.json").read_text())["compiled"]
    assert list((tmp_path / "cache").rglob("*.so"))
    shutil.copytree(kept, gone)
    others = [
        start(gone, base, tmp_path / "empty"),
        start(whole, base, tmp_path / "cache"),
        start(kept, base, tmp_path / "cache"),
    ]
    for process in others:
        process.join()
        assert process.exitcode == 0
    wanted, *found = map(outcome, (whole, kept, gone))
    assert found == [wanted, wanted]


def outcome(root: Path) -> tuple[list[tuple[float, float]], str]:
    """Losses, and the fingerprint of the last weights."""
    weights = folder_fingerprint(root / "checkpoints" / "epoch-03", "*.safetensors")
    return read_training(RunDirectory(root)).losses, weights
