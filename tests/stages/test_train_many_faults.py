"""What goes wrong in one of several processes ends them all with one message, and costs no step that was kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run
from tests.stages.eighteen import drawing, sentence
from tests.stages.many_runs import launch, launch_jobs

from nameplate.cli import launches
from nameplate.errors import TrainingError
from nameplate.models import precision
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import read_training, run_training
from nameplate.stages.train.ranks.plugins import Sharding, taking_plugins
from nameplate.stages.train.ranks.shards import check_divisible
from nameplate.store.rundir import RunDirectory

SECTION = {
    "vision": {"mode": "frozen"},
    "projector": {"mode": "full", "lr": 1e-3},
    "language": {"mode": "lora", "lr": 1e-2, "rank": 4},
    "epochs": 3,
    "checkpoint_every_epochs": 1,
    "batch_size": 6,
    "memory": {"micro_batch_size": 3, "prefix": "off"},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread_in_float32() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "compute_dtype", lambda: torch.float32)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


def train(run: RunDirectory, base: Path) -> list[float]:
    section = TrainSection.model_validate(SECTION)
    run_training(section, model_section=ModelSection(base=str(base)), run=run, progress=SilentProgress())
    return [loss for _, loss in read_training(run).losses]


def job(run: RunDirectory, base: Path, *, kind: str, sharded: bool) -> dict[str, Any]:
    fault = {"rank": 1, "steps": 4, "kind": kind}
    return {"root": str(run.root), "base": str(base), "section": SECTION, "sharded": sharded, "fault": fault}


def test_a_killed_process_ends_its_launch_and_one_alone_goes_on(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path / "killed")
    done = launch_jobs([job(run, base, kind="kill", sharded=True)], tmp_path)
    assert done.returncode != 0
    assert [folder.name for folder in run.checkpoints.glob("epoch-*")] == ["epoch-01", "epoch-02"][
        : len(list(run.checkpoints.glob("epoch-*")))
    ]
    assert not (run.folder("train") / "train.json").exists()
    whole = train(write_tiny_run(tmp_path / "whole"), base)
    assert train(RunDirectory(run.root), base) == pytest.approx(whole, rel=1e-6)


def test_an_error_of_one_process_is_said_once_and_ends_all(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path / "failed")
    done = launch_jobs([job(run, base, kind="fail", sharded=False)], tmp_path)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("nameplate: ")]
    assert said == ["nameplate: here: something that only this process sees"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """Sixteen pictures that come with their captions: a run that needs nobody else."""
    folder = tmp_path_factory.mktemp("recipe")
    rows = [
        {"image": {"bytes": drawing(number), "path": None}, "caption": f"{sentence(number)} By Acme.", "brand": "Acme"}
        for number in range(16)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    tree = {
        "table": {"source": str(folder / "table.parquet"), "image": "image", "text": "caption"},
        "name": {"column": "brand"},
        "caption": {"source": "table"},
        "clean": {"require_name": False},
        "split": {"min_per_name": 1, "validation": 2, "test": 2},
        "model": {"base": str(base)},
        "train": SECTION | {"epochs": 1},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


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
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with (
        pytest.raises(TrainingError, match=r"ACCELERATE_USE_DEEPSPEED: .*DeepSpeed; expected .*FSDP2"),
        taking_plugins(),
    ):
        pass


@pytest.mark.parametrize("name", ["apollo", "apollo_mini", "adamw_8bit"])
def test_optimizers_that_see_whole_matrices_are_refused_where_they_are_divided(name: str) -> None:
    section = TrainSection.model_validate(SECTION | {"optimizer": {"name": name}})
    check_divisible(section, None)
    with pytest.raises(TrainingError, match=rf"train\.optimizer\.name: {name}.*FSDP2.*adamw or muon"):
        check_divisible(section, Sharding())
