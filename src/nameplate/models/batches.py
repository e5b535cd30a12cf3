"""Batches of encoded examples, and the one loss that training and scoring share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from nameplate.models.prefix.skipping import going_on_from
from nameplate.models.processing import IGNORED, Encoded
from nameplate.models.step.crossentropy import place_losses
from nameplate.models.step.textbefore import KEYS, VALUES, text_arguments

Batch = dict[str, torch.Tensor]
"""`input_ids`, `labels` (B, T); `positions`, `targets`, `weights` (K,); the model's image arguments, or
`image_features`; `text_keys`, `text_values`, where text before them was read before.

`positions` are places in the flattened batch whose next token carries loss, `targets` those tokens, `weights` how much
each counts; they end in padding whose target is `IGNORED` and whose weight is 0.
"""


FEATURES: Final = "image_features"
"""Projected features of images, instead of their pixels."""
PROJECTOR_INPUTS: Final = "projector_inputs"
"""What the projector reads, kept from before."""
HIDDEN: Final = "hidden_states"
"""(B, T, width): what the frozen lower layers of the language model give, kept from before."""

_OURS: Final = (
    *("input_ids", "labels", "positions", "targets", "weights", "rows"),
    *(PROJECTOR_INPUTS, HIDDEN, KEYS, VALUES),
)

LENGTH_STEP: Final = 8
PLACES_STEP: Final = 128
"""Lengths and numbers of places are rounded up to these, so that few shapes occur: for each new shape the CPU's matrix
library compiles code and keeps it (measured: 1 GB more after an epoch of 60 steps without rounding)."""


def collate(encoded: Sequence[Encoded], pad_id: int, *, num_before: int = 0) -> Batch:
    """Pad on the right, and list the places that carry loss, so that no device must count them.

    No attention mask: what stands right of a token cannot reach it in a causal model, and padding carries no loss.

    Args:
        encoded: examples.
        pad_id: of tokens.
        num_before: tokens that stand before the batch in every layer; attention sees them, too.
    """
    longest = _round_up(num_before + max(len(example.input_ids) for example in encoded), LENGTH_STEP) - num_before
    counts = torch.zeros((len(encoded), longest))
    input_ids = torch.full((len(encoded), longest), pad_id, dtype=torch.long)
    labels = torch.full((len(encoded), longest), IGNORED, dtype=torch.long)
    for row, example in enumerate(encoded):
        input_ids[row, : len(example.input_ids)] = torch.tensor(example.input_ids)
        labels[row, : len(example.labels)] = torch.tensor(example.labels)
        counts[row, : len(example.labels)] = torch.tensor(example.weights) if len(example.weights) else 1.0
    rows, columns = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    num_places = _round_up(len(rows), PLACES_STEP)
    positions = torch.zeros(num_places, dtype=torch.long)
    targets = torch.full((num_places,), IGNORED, dtype=torch.long)
    positions[: len(rows)] = rows * longest + columns
    targets[: len(rows)] = labels[rows, columns + 1]
    weights = torch.zeros(num_places)
    weights[: len(rows)] = counts[rows, columns + 1]
    batch = {"input_ids": input_ids, "labels": labels, "positions": positions, "targets": targets, "weights": weights}
    return batch | pad_kinds(encoded, longest)


def pad_kinds(encoded: Sequence[Encoded], length: int, *, left: bool = False) -> Batch:
    """What a family wants to know of every token, (B, length) each, zero where there is none."""
    padded: Batch = {}
    for name in dict.fromkeys(name for example in encoded for name in example.kinds):
        rows = [example.kinds[name] for example in encoded]
        zeros = [[0] * (length - len(row)) for row in rows]
        padded[name] = torch.tensor(
            [[*pad, *row] if left else [*row, *pad] for row, pad in zip(rows, zeros, strict=True)]
        )
    return padded


def image_inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The model's arguments beside the text: pixels and what belongs to them, or features that were computed before."""
    inputs: dict[str, Any] = {name: tensor for name, tensor in batch.items() if name not in _OURS}
    features = inputs.pop(FEATURES, None)
    if features is not None:
        # Rows of features are taken as a list. A fresh dictionary each time: the model writes into it.
        payload: Any = [features] if features.ndim == 2 else features
        inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=payload)}
    return inputs


def loss_sum(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Next-token cross entropy summed over the answer tokens of a batch, each counting once; float32 scalar."""
    return answer_losses(model, batch).sum()


def answer_losses(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Next-token cross entropy at every place of `positions`, (K,) float32; 0 where the target is `IGNORED`.

    Logits are computed only at `positions`. (`logits_to_keep` with a mask does the same, but not in every version of
    transformers that we allow.)
    """
    logits = answer_logits(model, batch)
    return place_losses(logits, batch["targets"], ignored=IGNORED)


def answer_logits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits at `positions` alone, (K, vocabulary)."""
    output = run_body(model, batch)
    if model.base_model is model:
        # A family without a body of its own gives logits for every token.
        whole: torch.Tensor = output.logits
        return whole.flatten(0, 1).index_select(0, batch["positions"])
    hidden = output.last_hidden_state.flatten(0, 1).index_select(0, batch["positions"])
    foreign: Any = model
    head: nn.Module = foreign.get_output_embeddings()
    logits: torch.Tensor = head(hidden)
    return logits


def run_body(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> Any:
    """All of a model but its head; from the middle on where hidden states were kept."""
    with going_on_from(batch.get(HIDDEN)):
        arguments = image_inputs(batch) | text_arguments(model, batch)
        return model.base_model(input_ids=batch["input_ids"], use_cache=False, **arguments)


def num_answer_tokens(encoded: Sequence[Encoded]) -> int:
    """How many tokens of the examples carry loss."""
    return sum(sum(label != IGNORED for label in example.labels) for example in encoded)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
