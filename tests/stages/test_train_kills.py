"""`kill -9` wherever it hurts most: what was kept is whole, and the training that goes on has the losses and weights of
one that never stopped."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run
from tests.stages.kill_points import POINTS, train_and_die

from nameplate.models.load import load_model
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import read_training, run_training
from nameplate.store.fingerprint import folder_fingerprint
from nameplate.store.rundir import RunDirectory

SECTION = TrainSection.model_validate(
    {
        "language": {"mode": "lora", "lr": 1e-2, "rank": 4},
        "epochs": 3,
        "checkpoint_every_epochs": 1,
        "batch_size": 6,
        "optimizer": {"ema_decay": 0.9},
        "memory": {"micro_batch_size": 6, "prefix": "off"},
    }
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    """One that nothing disturbed."""
    return train(write_tiny_run(tmp_path_factory.mktemp("whole")), base)


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.stages.kill_points"])
    return context


def train(run: RunDirectory, base: Path) -> RunDirectory:
    run_training(SECTION, model_section=ModelSection(base=str(base)), run=run, progress=SilentProgress())
    return run


@pytest.mark.parametrize("point", POINTS)
def test_killed_training_goes_on_as_if_it_had_not_been(
    point: str, tmp_path: Path, base: Path, whole: RunDirectory, server: ForkServerContext
) -> None:
    run = write_tiny_run(tmp_path / "killed")
    process = server.Process(
        target=train_and_die, args=(str(run.root), str(base), SECTION.model_dump_json(), point), daemon=True
    )
    process.start()
    process.join(200)
    assert process.exitcode == -signal.SIGKILL
    kept = sorted(folder.name for folder in run.checkpoints.glob("epoch-*"))
    assert kept[:1] == ["epoch-01"]
    for name in kept:
        load_model(str(run.checkpoints / name))
    train(RunDirectory(run.root), base)
    assert read_training(run).losses == read_training(whole).losses
    weights = [folder_fingerprint(each.checkpoints / "epoch-03", "*.safetensors") for each in (whole, run)]
    assert weights[0] == weights[1]
    assert sorted(folder.name for folder in run.checkpoints.iterdir()) == ["epoch-01", "epoch-02", "epoch-03"]
