"""Batches of encoded examples, and the one loss that training and scoring share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from nameplate.models.processing import IGNORED, Encoded

Batch = dict[str, torch.Tensor]
"""`input_ids`, `labels` (B, T); `positions`, `targets` (K,); `pixel_values` or `image_features`.

`positions` are places in the flattened batch whose next token carries loss, `targets` those tokens; both end in padding
whose target is `IGNORED`.
"""


LENGTH_STEP: Final = 8
PLACES_STEP: Final = 128
"""Lengths and numbers of places are rounded up to these, so that few shapes occur: for each new shape the CPU's matrix
library compiles code and keeps it (measured: 1 GB more after an epoch of 60 steps without rounding)."""


def collate(encoded: Sequence[Encoded], pad_id: int) -> Batch:
    """Pad on the right, and list the places that carry loss, so that no device must count them.

    No attention mask: what stands right of a token cannot reach it in a causal model, and padding carries no loss.
    """
    longest = _round_up(max(len(example.input_ids) for example in encoded), LENGTH_STEP)
    input_ids = torch.full((len(encoded), longest), pad_id, dtype=torch.long)
    labels = torch.full((len(encoded), longest), IGNORED, dtype=torch.long)
    for row, example in enumerate(encoded):
        input_ids[row, : len(example.input_ids)] = torch.tensor(example.input_ids)
        labels[row, : len(example.labels)] = torch.tensor(example.labels)
    rows, columns = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    num_places = _round_up(len(rows), PLACES_STEP)
    positions = torch.zeros(num_places, dtype=torch.long)
    targets = torch.full((num_places,), IGNORED, dtype=torch.long)
    positions[: len(rows)] = rows * longest + columns
    targets[: len(rows)] = labels[rows, columns + 1]
    return {"input_ids": input_ids, "labels": labels, "positions": positions, "targets": targets}


def image_inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The model's image arguments: pixels, or features that were computed before."""
    if "pixel_values" in batch:
        return {"pixel_values": batch["pixel_values"]}
    # A fresh dictionary each time: the model writes into it.
    return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=batch["image_features"])}}


def loss_sum(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Next-token cross entropy summed over the answer tokens of a batch, float32 scalar.

    Logits are computed only at `positions`. (`logits_to_keep` with a mask does the same, but not in every version of
    transformers that we allow.)
    """
    output = model.base_model(input_ids=batch["input_ids"], use_cache=False, **image_inputs(batch))
    hidden = output.last_hidden_state.flatten(0, 1).index_select(0, batch["positions"])
    foreign: Any = model
    head: nn.Module = foreign.get_output_embeddings()
    return functional.cross_entropy(head(hidden).float(), batch["targets"], ignore_index=IGNORED, reduction="sum")


def num_answer_tokens(encoded: Sequence[Encoded]) -> int:
    """How many tokens of the examples carry loss."""
    return sum(sum(label != IGNORED for label in example.labels) for example in encoded)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
