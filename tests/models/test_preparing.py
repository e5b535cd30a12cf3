"""A model without values is prepared as the model itself: a plan counts what training does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from nameplate.models.blueprint import draw, with_policies
from nameplate.models.load import load_model
from nameplate.models.preparing import prepare_model
from nameplate.recipe import PRESETS, PresetName, TrainSection

from .tiny_model import write_tiny_model


def prepared(model: PreTrainedModel) -> dict[str, Any]:
    """All that preparing may change."""
    return {
        "weights": {name: (each.dtype, each.requires_grad) for name, each in model.named_parameters()},
        "wrapped": {name for name, each in model.named_modules() if "forward" in vars(each)},
        "attention": {
            name: each.config._attn_implementation
            for name, each in model.named_modules()
            if isinstance(each, PreTrainedModel)
        },
    }


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("computing", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("preset", PRESETS)
def test_model_without_values_is_prepared_as_the_model_itself(
    tmp_path: Path, preset: PresetName, computing: torch.dtype, checkpointing: bool
) -> None:
    base = write_tiny_model(tmp_path, tie=False)
    section = TrainSection.model_validate({"preset": preset, "memory": {"checkpointing": checkpointing}})
    model, blueprint = load_model(str(base)).model, draw(base)
    before = prepared(model)
    prepare_model(model, section, stored=blueprint.stored, longest=64, computing=computing)
    with_policies(blueprint, section, longest=64, computing=computing)
    found = prepared(model)
    assert prepared(blueprint.model) == found
    assert found["attention"] != before["attention"]
