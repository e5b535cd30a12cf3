"""The arithmetic that a training benchmark divides by: torch's own counter is the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nameplate.models.batches import collate, loss_sum, num_answer_tokens
from nameplate.models.load import load_model
from train_arithmetic import step_operations
from train_jobs import POLICIES
from train_shop import PROMPT, Size, captions, write_model

SIZE = Size(2, 128, 2, 128, 112)


@pytest.mark.parametrize("policy", POLICIES)
def test_operations_are_those_that_torch_counts(tmp_path: Path, policy: str) -> None:
    write_model(tmp_path / "model", SIZE)
    loaded = load_model(str(tmp_path / "model"))
    loaded.model.set_attn_implementation("eager")
    parts = {"vision": "vision_tower", "projector": "multi_modal_projector", "language": "language_model"}
    for name, parameter in loaded.model.named_parameters():
        parameter.requires_grad_(any(parts[part] in name for part in POLICIES[policy]))
    example = loaded.processor.encode(PROMPT, captions(1, fewest=40, most=40)[0])
    batch = collate([example], loaded.processor.pad_id) | {"pixel_values": torch.randn(1, 3, 112, 112)}
    with FlopCounterMode(display=False) as counter:
        loss_sum(loaded.model, batch).backward()
    tokens, answer = len(example.input_ids), num_answer_tokens([example])
    counted = step_operations(SIZE, POLICIES[policy], tokens=tokens, answer_tokens=answer)
    # Torch counts the unseen half of attention, and padding of the sequence and of the answer's places.
    padded = batch["input_ids"].shape[1]
    most = step_operations(SIZE, POLICIES[policy], tokens=padded, answer_tokens=len(batch["positions"]))
    unseen = 3 * SIZE.language_layers * 2 * padded**2 * SIZE.language_width
    assert counted.together < counter.get_total_flops() <= 1.001 * (most.together + unseen)
    assert counter.get_total_flops() > 0.97 * (most.together + unseen)
