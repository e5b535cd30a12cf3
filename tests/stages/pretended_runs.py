"""Trainings and scorings, here and on a pretended GPU, for a process of its own; prints what they gave as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run
from tests.pretended_gpu import pretending

from nameplate.recipe import ScoreSection, TrainSection
from nameplate.stages.score import run_scoring
from nameplate.stages.train import run_training

from .scored_run import REGISTRY, SILENT, ModelSection

FULL: Mapping[str, object] = {"mode": "full", "lr": 1e-3}
FROZEN: Mapping[str, object] = {"mode": "frozen"}
LORA: Mapping[str, object] = {"mode": "lora", "lr": 1e-2, "rank": 4}
LAST: Mapping[str, object] = {"mode": "last", "num_layers": 1, "lr": 1e-3}
ODD: Mapping[str, object] = {"weighting": "sample", "name_weight": 2.0, "balance": "sqrt", "question_answer_share": 0.2}

WAYS: Mapping[str, Mapping[str, Any]] = {
    "everything, averaged": {"language": FULL, "optimizer": {"ema_decay": 0.9}, "examples": ODD},
    "language frozen, computed again": {"language": FROZEN, "memory": {"checkpointing": True}},
    "language by LoRA, packed": {"vision": FROZEN, "language": LORA, "memory": {"packing": "on", "prefix": "vision"}},
    "projected kept": {"vision": FROZEN, "projector": FROZEN, "language": FULL, "memory": {"prefix": "projected"}},
    "hidden states kept": {"vision": FROZEN, "projector": FROZEN, "language": LAST, "memory": {"prefix": "hidden"}},
    "APOLLO, pictures changed": {"language": FULL, "optimizer": {"name": "apollo"}, "examples": {"augment": "careful"}},
    "Muon, best and last": {"language": FULL, "optimizer": {"name": "muon"}, "keep": "best_and_last"},
}
ASKED = ScoreSection(
    max_new_tokens=6, batch_size=4, prompts=["name", "detail"], closed_set="all", average_last=2, guards={"rows": 4}
)


def run(way: Mapping[str, Any], base: Path, root: Path) -> dict[str, Any]:
    """Losses of a training, and what its models were found to know."""
    memory = {"attention": "sdpa", **way.get("memory", {})}
    values = {"vision": FULL, "projector": FULL, "epochs": 2, "checkpoint_every_epochs": 1, "batch_size": 6}
    section = TrainSection.model_validate({**values, **way, "memory": memory})
    place, model = write_tiny_run(root, lengths=9), ModelSection(base=str(base))
    trained = run_training(section, model_section=model, run=place, progress=SILENT, asking=ASKED)
    scored = run_scoring(
        ASKED, model_section=model, run=place, registry=REGISTRY, progress=SILENT, memory=section.memory
    )
    return {
        "losses": [loss for _, loss in trained.losses],
        "models": [each.name for each in scored.checkpoints],
        "loss": [each.loss for each in scored.checkpoints],
        "checks": {each.kind: each.outcome for each in scored.checks},
    }


def mixed() -> str:
    """What happens where one of two tensors was left behind."""
    with pretending():
        try:
            torch.ones(3).to("cuda") + torch.ones(3)
        except RuntimeError as error:
            return str(error)
    return ""


def main() -> None:
    """All ways, in turn."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"mixed": mixed()}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        base = write_tiny_model(root / "base")
        for number, (what, way) in enumerate(WAYS.items()):
            found[what] = {}
            for where, device in (("here", nullcontext()), ("there", pretending())):
                with device:
                    found[what][where] = run(way, base, root / f"{where}-{number}")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
