"""`kill -9` wherever it hurts most: what was kept is whole, and the training that goes on has the losses and weights of
one that never stopped."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from tests.models.tiny_run import write_tiny_run

from nameplate.models.load import load_model
from nameplate.recipe import TrainSection
from nameplate.stages.train import read_training
from nameplate.store.fingerprint import folder_fingerprint
from nameplate.store.rundir import RunDirectory

from .kill_points import POINTS, train_and_die
from .listening import Listener
from .scored_run import train

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

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    """One that nothing disturbed."""
    run = write_tiny_run(tmp_path_factory.mktemp("whole"))
    train(run, base, SECTION)
    return run


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.stages.kill_points"])
    return context


def kill(server: ForkServerContext, run: RunDirectory, base: Path, section: TrainSection, point: str) -> None:
    """Train in a process of its own, which is killed there."""
    process = server.Process(
        target=train_and_die, args=(str(run.root), str(base), section.model_dump_json(), point), daemon=True
    )
    process.start()
    process.join(200)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_killed_training_goes_on_as_if_it_had_not_been(
    point: str, tmp_path: Path, base: Path, whole: RunDirectory, server: ForkServerContext
) -> None:
    run = write_tiny_run(tmp_path / "killed")
    kill(server, run, base, SECTION, point)
    kept = sorted(folder.name for folder in run.checkpoints.glob("epoch-*"))
    assert kept[:1] == ["epoch-01"]
    for name in kept:
        load_model(str(run.checkpoints / name))
    train(RunDirectory(run.root), base, SECTION)
    assert read_training(run).losses == read_training(whole).losses
    weights = [folder_fingerprint(each.checkpoints / "epoch-03", "*.safetensors") for each in (whole, run)]
    assert weights[0] == weights[1]
    assert sorted(folder.name for folder in run.checkpoints.iterdir()) == ["epoch-01", "epoch-02", "epoch-03"]


def test_examples_share_the_same_rows_after_a_kill(tmp_path: Path, base: Path, server: ForkServerContext) -> None:
    said = Listener()
    # With captions of many lengths it packs by itself.
    undisturbed, run = (write_tiny_run(tmp_path / which, lengths=12) for which in ("whole", "killed"))
    summary = train(undisturbed, base, SECTION, said)
    kill(server, run, base, SECTION, "inside a step")
    assert train(RunDirectory(run.root), base, SECTION, said).losses == summary.losses
    assert len(said.about("short examples share rows")) == 2
