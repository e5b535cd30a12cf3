"""Other families than InternVL train on what was kept, with the losses of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.models.tiny_auto import WRITERS
from tests.models.tiny_run import write_tiny_run

from nameplate.recipe import TrainSection

from .scored_run import train

FROZEN = {"mode": "frozen"}
LAST = {"mode": "last", "num_layers": 1, "lr": 1e-2}
POLICIES: dict[str, dict[str, Any]] = {
    "tiles": {"vision": {"mode": "full"}, "projector": FROZEN, "language": FROZEN},
    "vision": {"vision": FROZEN, "projector": {"mode": "full"}, "language": FROZEN},
    "projected": {"vision": FROZEN, "projector": FROZEN, "language": {"mode": "lora"}},
    "hidden": {"vision": FROZEN, "projector": FROZEN, "language": LAST},
}

pytestmark = pytest.mark.usefixtures("one_thread", "single_precision")


@pytest.mark.parametrize("family", WRITERS)
def test_losses_are_those_of_pixels(tmp_path: Path, family: str) -> None:
    """Measured worst relative difference 2e-7: images go through the tower one by one instead of two by two."""
    base = WRITERS[family](tmp_path / "base")
    run = write_tiny_run(tmp_path / "run", train=6)
    for level, policies in POLICIES.items():
        losses = []
        for prefix in ("off", level):
            memory = {"micro_batch_size": 2, "prefix": prefix}
            section = TrainSection.model_validate({**policies, "epochs": 1, "batch_size": 4, "memory": memory})
            losses.append([loss for _, loss in train(run, base, section).losses])
            (run.folder("train") / "resume" / "state.safetensors").unlink()
        assert losses[1] == pytest.approx(losses[0], rel=2e-6), level

    assert len(list(run.prefix.iterdir())) == len(POLICIES)
