"""The trainings that one process does alone and several do together, and how they are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tests.models.tiny_run import write_tiny_run
from tests.stages.eighteen import drawing, sentence

from nameplate.models.load import load_model
from nameplate.models.precision import compute_dtype
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import read_training, run_training
from nameplate.store.rundir import RunDirectory

FULL = {"mode": "full", "lr": 1e-3}
LARGE_STEPS = {"mode": "full", "lr": 5e-2}
FROZEN = {"mode": "frozen"}

# Eleven rows, five a step, two at once: two processes pass twice, with shares of two and three examples, and in the
# last step of an epoch one of them has nothing.
NUM_ROWS = 11
COMMON: dict[str, Any] = {"vision": FULL, "projector": FULL, "epochs": 2, "checkpoint_every_epochs": 1, "batch_size": 5}
CASES: dict[str, dict[str, Any]] = {
    # AdamW does not see the size of a gradient, and clipping takes it away; with a large epsilon its steps follow it.
    "everything learns": {
        "vision": LARGE_STEPS,
        "projector": LARGE_STEPS,
        "language": LARGE_STEPS,
        "optimizer": {"epsilon": 1.0, "max_grad_norm": None},
        "memory": {"micro_batch_size": 2, "prefix": "off"},
    },
    "adapters behind a frozen eye": {
        "vision": FROZEN,
        "language": {"mode": "lora", "lr": 1e-2, "rank": 4},
        "epochs": 1,
        "memory": {"micro_batch_size": 2, "prefix": "vision"},
        "examples": {"weighting": "sample", "name_weight": 3.0},
    },
    "orthogonal steps": {
        "language": FROZEN,
        "epochs": 1,
        "optimizer": {"name": "muon"},
        "memory": {"micro_batch_size": 2, "prefix": "off"},
    },
    "language frozen": {
        "language": FROZEN,
        "epochs": 1,
        "optimizer": {"ema_decay": 0.9},
        "memory": {"micro_batch_size": 2, "prefix": "off", "checkpointing": True},
        "examples": {"weighting": "square", "augment": "careful"},
    },
}


@contextmanager
def in_float32() -> Iterator[None]:
    """Products as `many_runs` computes them, which do not depend on company."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        compute_dtype.cache_clear()
        yield
    compute_dtype.cache_clear()


class _Interrupt(SilentProgress):
    """Stops a training at its fourth step, in the second epoch."""

    def note(self, text: str) -> None:
        pass

    def task(self, label: str, total: int | None) -> Any:
        return _FourSteps() if label == "train" else super().task(label, total)


class _FourSteps:
    left = 4

    def advance(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left == 0:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass


def section(case: str) -> TrainSection:
    return TrainSection.model_validate(COMMON | CASES[case])


def train_alone(root: Path, base: Path, section: TrainSection) -> RunDirectory:
    run = write_tiny_run(root, train=NUM_ROWS)
    with in_float32():
        run_training(section, model_section=ModelSection(base=str(base)), run=run, progress=SilentProgress())
    return run


def interrupt_alone(root: Path, base: Path, section: TrainSection) -> RunDirectory:
    run = write_tiny_run(root, train=NUM_ROWS)
    with in_float32(), pytest.raises(KeyboardInterrupt):
        run_training(section, model_section=ModelSection(base=str(base)), run=run, progress=_Interrupt())
    return run


def job(run: RunDirectory, base: Path, section: TrainSection, environment: dict[str, str]) -> dict[str, Any]:
    """What `many_runs` does."""
    tree = section.model_dump(mode="json")
    return {"root": str(run.root), "base": str(base), "section": tree, "environment": environment}


def losses(run: RunDirectory) -> list[float]:
    return [loss for _, loss in read_training(run).losses]


def assert_same_weights(one: RunDirectory, other: RunDirectory, base: Path, *, tolerance: float = 1e-5) -> None:
    """Measured worst difference 6e-8, where weights have moved by 1e-3 and more; an error in one step moves 1e-3."""
    assert [each.name for each in sorted(one.checkpoints.iterdir())] == [
        each.name for each in sorted(other.checkpoints.iterdir())
    ]
    last = sorted(one.checkpoints.iterdir())[-1].name
    models = [load_model(str(folder)).model for folder in (base, one.checkpoints / last, other.checkpoints / last)]
    moved = 0.0
    for (name, start), end, again in zip(
        models[0].named_parameters(), models[1].parameters(), models[2].parameters(), strict=True
    ):
        torch.testing.assert_close(again, end, rtol=0, atol=tolerance, msg=name)
        moved = max(moved, float((end - start).detach().abs().max()))
    assert moved > 1e-3


def write_recipe(folder: Path, base: Path, train: dict[str, Any]) -> Path:
    """Sixteen pictures that come with their captions: a run that needs nobody else."""
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
        "train": train,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path
