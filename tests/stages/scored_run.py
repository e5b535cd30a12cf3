"""A tiny trained run, and scoring it quickly."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from tests.models.tiny_run import write_tiny_run

from nameplate.models.load import load_model
from nameplate.names import Registry, build_registry
from nameplate.progress import Progress, SilentProgress
from nameplate.recipe import ModelSection, ScoreSection, TrainSection
from nameplate.stages.score import run_scoring
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory
from nameplate.summary import CheckKind, ScoreSummary, SelfCheck, TrainSummary

LEARNING: Mapping[str, object] = {"mode": "full", "lr": 1e-2}
SECTION: Mapping[str, object] = {
    "vision": LEARNING,
    "projector": LEARNING,
    "language": LEARNING,
    "epochs": 20,
    "checkpoint_every_epochs": 10,
    "batch_size": 6,
    "memory": {"micro_batch_size": 6},
    "examples": {"name_question_share": 0.7},
}
REGISTRY: Registry = build_registry({"Acme": 10, "Zeta": 10})
SILENT = SilentProgress()


def write_trained_run(root: Path, base: Path, *, validation: int = 16, test: int = 4, **changes: Any) -> RunDirectory:
    """Checkpoints epoch-10 and epoch-20 that tell red and blue apart, or what the changes to `train` say."""
    run = write_tiny_run(root, validation=validation, test=test)
    train(run, base, TrainSection.model_validate({**SECTION, **changes}))
    return run


def unscored_copy(run: RunDirectory, root: Path) -> RunDirectory:
    """A copy to plant a fault in: nothing of it was asked yet."""
    shutil.copytree(run.root, root, ignore=shutil.ignore_patterns("*.sqlite*", "score"))
    return RunDirectory(root)


def train(
    run: RunDirectory,
    base: Path,
    section: TrainSection,
    progress: Progress = SILENT,
    *,
    asking: ScoreSection | None = None,
) -> TrainSummary:
    model_section = ModelSection(base=str(base))
    return run_training(section, model_section=model_section, run=run, progress=progress, asking=asking)


def score(run: RunDirectory, base: Path, **changes: object) -> ScoreSummary:
    """Ask everybody everything, one short question each."""
    quick = {"max_new_tokens": 12, "batch_size": 32, "prompts": ["name"], "closed_set": "off", "train_rows": 0}
    section = ScoreSection.model_validate(quick | {"test": "all", "guards": {"rows": 0}} | changes)
    return run_scoring(
        section,
        model_section=ModelSection(base=str(base)),
        run=run,
        registry=REGISTRY,
        progress=SILENT,
    )


def predictions(run: RunDirectory) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(run.folder("score") / "predictions.parquet").to_pylist()
    return rows


def one(checks: list[SelfCheck], kind: CheckKind, model: str) -> SelfCheck:
    """The one check of a kind and a model."""
    (found,) = [check for check in checks if (check.kind, check.model) == (kind, model)]
    return found


def nudge(folder: Path) -> None:
    """Change one weight of a model folder a little: another model, by any fingerprint."""
    loaded = load_model(str(folder))
    with torch.no_grad():
        next(loaded.model.parameters()).add_(0.01)
    loaded.model.save_pretrained(folder)
