"""A tiny trained run, and scoring it quickly."""

from __future__ import annotations

from pathlib import Path

import torch
from tests.models.tiny_run import write_tiny_run

from nameplate.models.load import load_model
from nameplate.names import build_registry
from nameplate.progress import SilentProgress
from nameplate.recipe import ComponentPolicy, ExamplesSection, MemorySection, ModelSection, ScoreSection, TrainSection
from nameplate.stages.score import run_scoring
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory
from nameplate.summary import CheckKind, ScoreSummary, SelfCheck

LEARNING = ComponentPolicy(mode="full", lr=1e-2)


def write_trained_run(root: Path, base: Path) -> RunDirectory:
    """Checkpoints epoch-10 and epoch-20, and 20 held-out rows."""
    run = write_tiny_run(root, validation=16, test=4)
    section = TrainSection(
        vision=LEARNING,
        projector=LEARNING,
        language=LEARNING,
        epochs=20,
        checkpoint_every_epochs=10,
        batch_size=6,
        memory=MemorySection(micro_batch_size=6),
        examples=ExamplesSection(name_question_share=0.7),
    )
    run_training(section, model_section=ModelSection(base=str(base)), run=run, progress=SilentProgress())
    return run


def score(run: RunDirectory, base: Path, **changes: object) -> ScoreSummary:
    """Ask everybody everything, one short question each."""
    quick = {"max_new_tokens": 12, "batch_size": 32, "prompts": ["name"], "closed_set": "off", "train_rows": 0}
    section = ScoreSection.model_validate(quick | {"test": "all", "guards": {"rows": 0}} | changes)
    return run_scoring(
        section,
        model_section=ModelSection(base=str(base)),
        run=run,
        registry=build_registry({"Acme": 10, "Zeta": 10}),
        progress=SilentProgress(),
    )


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
