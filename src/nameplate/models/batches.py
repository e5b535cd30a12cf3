"""Batches of encoded examples, and the one loss that training and scoring share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from nameplate.models.processing import IGNORED, Encoded

Batch = dict[str, torch.Tensor]
"""`input_ids`, `labels` (B, T); `positions` (K,); `targets` (B, K); `pixel_values` or `image_features`."""


def collate(encoded: Sequence[Encoded], pad_id: int) -> Batch:
    """Pad on the right to the longest example, and list the positions whose next token carries loss in any row.

    No attention mask: what stands right of a token cannot reach it in a causal model, and padding carries no loss.
    """
    longest = max(len(example.input_ids) for example in encoded)
    input_ids = torch.full((len(encoded), longest), pad_id, dtype=torch.long)
    labels = torch.full((len(encoded), longest), IGNORED, dtype=torch.long)
    for row, example in enumerate(encoded):
        input_ids[row, : len(example.input_ids)] = torch.tensor(example.input_ids)
        labels[row, : len(example.labels)] = torch.tensor(example.labels)
    positions = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().squeeze(1)
    return {"input_ids": input_ids, "labels": labels, "positions": positions, "targets": labels[:, positions + 1]}


def image_inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The model's image arguments: pixels, or features that were computed before."""
    if "pixel_values" in batch:
        return {"pixel_values": batch["pixel_values"]}
    # A fresh dictionary each time: the model writes into it.
    return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=batch["image_features"])}}


def loss_sum(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Next-token cross entropy summed over the answer tokens of a batch, float32 scalar.

    Logits are computed only at `positions`.
    """
    output = model(
        input_ids=batch["input_ids"], logits_to_keep=batch["positions"], use_cache=False, **image_inputs(batch)
    )
    logits = output.logits.float()
    return functional.cross_entropy(
        logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED, reduction="sum"
    )


def num_answer_tokens(encoded: Sequence[Encoded]) -> int:
    """How many tokens of the examples carry loss."""
    return sum(sum(label != IGNORED for label in example.labels) for example in encoded)
