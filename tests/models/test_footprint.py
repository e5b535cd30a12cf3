"""What is said of weights, gradients and optimizer is what the real ones hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models.tiny_model import NUM_IMAGE_TOKENS, SIDE, write_tiny_model

from nameplate.models.averaging import MovingAverage
from nameplate.models.batches import collate, loss_sum
from nameplate.models.footprint import footprint
from nameplate.models.load import load_model
from nameplate.models.optimizers import build_optimizer
from nameplate.models.policy import apply_policies
from nameplate.models.processing import Encoded
from nameplate.recipe import OptimizerName, OptimizerSection, TrainSection


@pytest.mark.parametrize("preset", ["frozen-language", "recommended", "everything"])
@pytest.mark.parametrize("name", ["adamw", "apollo", "apollo_mini", "muon"])
def test_state_is_as_large_as_said(tmp_path: Path, name: OptimizerName, preset: str) -> None:
    loaded = load_model(str(write_tiny_model(tmp_path, tie=False)))
    section = TrainSection.model_validate(
        {"preset": preset, "optimizer": {"name": name, "rank": None, "ema_decay": 0.9}}
    )
    applied = apply_policies(loaded.model, section.policies())
    optimizer = build_optimizer(section.optimizer, applied)
    ids = [7] * 9 + [loaded.processor.image_token_id] * NUM_IMAGE_TOKENS + [8] * 9
    batch = collate([Encoded(ids, [-100] * 9 + ids[9:])], 0) | {"pixel_values": torch.randn(1, 3, SIDE, SIDE)}
    loss_sum(loaded.model, batch).backward()
    learning = applied.trainable()
    said = footprint(applied, section.optimizer)
    assert said.gradients == sum(each.grad.nbytes for each in learning.values() if each.grad is not None)
    optimizer.step()
    # Step counters and norms are single numbers.
    states = [each for state in optimizer.state.values() for each in state.values() if isinstance(each, torch.Tensor)]
    assert said.optimizer == sum(each.nbytes for each in states if each.numel() > 1)
    average = MovingAverage(learning, decay=0.9)
    assert said.average == sum(each.nbytes for each in average.values.values())
    assert said.weights == sum(each.nbytes for each in loaded.model.parameters())


def test_eight_bit_moments_have_a_scale_for_each_block(tmp_path: Path) -> None:
    loaded = load_model(str(write_tiny_model(tmp_path, tie=False)))
    applied = apply_policies(loaded.model, TrainSection(preset="projector-only").policies())
    counts = [each.numel() for each in applied.trainable().values()]
    large = sum(2 * (count + 4 * -(-count // 256)) for count in counts if count >= 4096)
    small = sum(2 * 4 * count for count in counts if count < 4096)
    assert footprint(applied, OptimizerSection(name="adamw_8bit")).optimizer == large + small
