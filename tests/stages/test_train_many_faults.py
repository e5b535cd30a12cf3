"""What goes wrong in one of several processes ends them all with one message, and costs no step that was kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.models.tiny_run import write_tiny_run
from tests.stages.many_cases import in_float32, write_recipe
from tests.stages.many_runs import FSDP2, launch, launch_jobs

from nameplate.cli import launches
from nameplate.errors import TrainingError
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import read_training, run_training
from nameplate.stages.train.ranks.fitting import check_divisible
from nameplate.stages.train.ranks.plugins import Sharding, taking_plugins
from nameplate.store.rundir import RunDirectory

pytestmark = pytest.mark.usefixtures("one_thread")

SECTION = {
    "vision": {"mode": "frozen"},
    "projector": {"mode": "full", "lr": 1e-3},
    "language": {"mode": "lora", "lr": 1e-2, "rank": 4},
    "epochs": 3,
    "checkpoint_every_epochs": 1,
    "batch_size": 6,
    "memory": {"micro_batch_size": 3, "prefix": "off"},
}


def train(run: RunDirectory, base: Path) -> list[float]:
    section = TrainSection.model_validate(SECTION)
    with in_float32():
        run_training(section, model_section=ModelSection(base=str(base)), run=run, progress=SilentProgress())
    return [loss for _, loss in read_training(run).losses]


def job(run: RunDirectory, base: Path, *, kind: str, environment: dict[str, str]) -> dict[str, Any]:
    fault = {"rank": 1, "steps": 4, "kind": kind}
    return {"root": str(run.root), "base": str(base), "section": SECTION, "environment": environment, "fault": fault}


def test_a_killed_process_ends_its_launch_and_one_alone_goes_on(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path / "killed")
    done = launch_jobs([job(run, base, kind="kill", environment=FSDP2)], tmp_path)
    assert done.returncode != 0
    assert [folder.name for folder in run.checkpoints.glob("epoch-*")] == ["epoch-01", "epoch-02"][
        : len(list(run.checkpoints.glob("epoch-*")))
    ]
    assert not (run.folder("train") / "train.json").exists()
    whole = train(write_tiny_run(tmp_path / "whole"), base)
    assert train(RunDirectory(run.root), base) == pytest.approx(whole, rel=1e-6)


def test_an_error_of_one_process_is_said_once_and_ends_all(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path / "failed")
    done = launch_jobs([job(run, base, kind="fail", environment={})], tmp_path)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("nameplate: ")]
    assert said == ["nameplate: here: something that only this process sees"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), base, SECTION | {"epochs": 1})


def test_one_command_in_two_processes_does_everything_once(tmp_path: Path, recipe: Path) -> None:
    done = launch(["-m", "nameplate", "train", str(recipe), "--run-dir", str(tmp_path / "run")], tmp_path)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())["stages"]
    assert {stage: record["status"] for stage, record in manifest.items()} == dict.fromkeys(
        ["ingest", "fetch", "caption", "clean", "split", "train"], "done"
    )
    assert done.stdout.count("from table to examples") == 1
    assert done.stderr.count("train: 2 processes, each holds all weights (DDP)") == 1
    assert [folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()] == ["epoch-01"]


@pytest.mark.parametrize(
    ("command", "rank", "code"),
    [("fetch", 0, None), ("fetch", 1, 0), ("train", 1, None), ("run", 1, None), ("demo", 0, 2), ("demo", 1, 2)],
)
def test_who_goes_on_with_a_command_in_a_launch(
    command: str, rank: int, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", str(rank))
    if code is None:
        launches.check_launch(command)
        return
    with pytest.raises(launches.typer.Exit) as ended:
        launches.check_launch(command)
    assert ended.value.exit_code == code


def test_what_accelerate_asks_for_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with taking_plugins() as sharding:
        assert sharding is None
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingError, match=r"FSDP_VERSION: 1; expected 2"), taking_plugins():
        pass
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("FSDP_RESHARD_AFTER_FORWARD", "false")
    with taking_plugins() as sharding:
        assert sharding == Sharding(reshard=False)
        assert "ACCELERATE_USE_FSDP" not in os.environ
    assert os.environ["ACCELERATE_USE_FSDP"] == "true"
    monkeypatch.setenv("ACCELERATE_USE_MEGATRON_LM", "true")
    with pytest.raises(TrainingError, match=r"MEGATRON_LM: .*Megatron-LM; expected DDP, FSDP"), taking_plugins():
        pass


@pytest.mark.parametrize("name", ["apollo", "apollo_mini", "adamw_8bit"])
def test_optimizers_that_see_whole_matrices_are_refused_where_they_are_divided(name: str) -> None:
    section = TrainSection.model_validate(SECTION | {"optimizer": {"name": name}})
    check_divisible(section, None)
    with pytest.raises(TrainingError, match=rf"train\.optimizer\.name: {name}.*FSDP2.*adamw or muon"):
        check_divisible(section, Sharding())
