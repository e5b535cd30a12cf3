"""Text that stands before all tokens of a batch and never changes: its keys and values, read once, in every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from weakref import WeakSet

import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from nameplate.models.prefix.skipping import language_layers
from nameplate.models.step.attention import SHORT

KEYS: Final = "text_keys"
VALUES: Final = "text_values"
"""(num_layers, heads, n, width) each. Where a batch has them, its examples begin after the text."""

ATTENTIONS: Final = frozenset({SHORT, "eager", "sdpa"})
"""Those that look at what stands before a batch, by transformers' names."""

_ADDING: Final = frozenset({SHORT, "eager"})
"""Of them, those whose masks are added to scores; others' say what is seen."""
_FUSED: Final = "nameplate_fused_behind_text"
_ARGUMENT: Final = "text_before"
_taking: WeakSet[nn.Module] = WeakSet()
"""Models whose layers take text."""


class TextBefore(NamedTuple):
    """Of all layers."""

    keys: torch.Tensor
    values: torch.Tensor


class LayerText(NamedTuple):
    """Stands for a cache of transformers in one layer: (1, heads, n, width) each. No gradient passes it."""

    keys: torch.Tensor
    values: torch.Tensor

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
        """A layer's own keys and values, (B, heads, T, width), behind those of the text."""
        shape = (len(keys), -1, -1, -1)
        return torch.cat([self.keys.expand(shape), keys], 2), torch.cat([self.values.expand(shape), values], 2)


def read_text(model: PreTrainedModel, ids: Sequence[int]) -> dict[str, torch.Tensor]:
    """Read a text without a gradient, and let the model's layers take it from batches; others pass as before.

    Call it as training computes, under its autocast.

    Args:
        model: an InternVL whose language model is frozen, with one of `ATTENTIONS`.
        ids: the text's tokens, at least one.

    Returns:
        `KEYS` and `VALUES`, for batches.
    """
    foreign: Any = model.base_model
    with torch.no_grad():
        read = foreign(input_ids=torch.tensor([list(ids)], device=model.device), use_cache=True).past_key_values
    _let_layers_take_text(model)
    return {
        KEYS: torch.cat([layer.keys for layer in read.layers]),
        VALUES: torch.cat([layer.values for layer in read.layers]),
    }


def text_arguments(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """A model's arguments by which a batch's tokens follow its text; none where it has no text.

    Each example sees the text and itself: positions go on from the text's, and restart there in packed rows.
    """
    if KEYS not in batch:
        return {}
    assert model in _taking, "text that this model has not read"
    keys, positions = batch[KEYS], batch.get("position_ids")
    num_before, attention = keys.shape[2], _attention(model)
    order = torch.arange(batch["input_ids"].shape[1], device=keys.device)
    arguments = {
        _ARGUMENT: TextBefore(keys, batch[VALUES]),
        "position_ids": num_before + (order[None] if positions is None else positions),
    }
    if attention == _FUSED and positions is None:
        return arguments
    seen = functional.pad(_seen(order, positions), (num_before, 0), value=True)
    if attention in _ADDING:
        seen = torch.zeros(seen.shape, dtype=keys.dtype, device=keys.device).masked_fill_(~seen, -torch.inf)
    return arguments | {"attention_mask": seen}


def _seen(order: torch.Tensor, positions: torch.Tensor | None) -> torch.Tensor:
    """Which tokens a token sees, (B or 1, 1, T, T): those before it, in packed rows only of its own example."""
    before = (order <= order[:, None])[None, None]
    if positions is None:
        return before
    example = (positions == 0).cumsum(1)[:, None]
    return before & (example[..., None] == example[..., None, :])


def _let_layers_take_text(model: PreTrainedModel) -> None:
    if model in _taking:
        return
    # A layer's compiled or recomputed forward is inside of its hooks, and so has its own text alone as an argument: one
    # compilation serves all layers.
    for place, layer in enumerate(language_layers(model)):
        layer.register_forward_pre_hook(partial(_hand_over, place), with_kwargs=True)
    if _attention(model) == "sdpa":
        AttentionInterface.register(_FUSED, _fused_behind_text)
        AttentionMaskInterface.register(_FUSED, sdpa_mask)
        _language(model).config._attn_implementation = _FUSED
    _taking.add(model)


def _hand_over(
    place: int, _: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    text: TextBefore | None = named.pop(_ARGUMENT, None)
    if text is not None:
        # Copies, for the compiler tells the first part of a tensor from the others, and would compile twice.
        named["past_key_values"] = LayerText(text.keys[[place]], text.values[[place]])
    return arguments, named


def _fused_behind_text(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **named: Any,
) -> tuple[torch.Tensor, None]:
    """torch's fused attention. Without a mask, queries of nothing stand before the others, as many as the text has.

    Its kernels are fast for squares that they know to be causal; a mask in the place of that costs up to twice as much
    (measured on a CPU).
    """
    if attention_mask is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **named)
    before = key.shape[2] - query.shape[2]
    output, _ = sdpa_attention_forward(module, functional.pad(query, (0, 0, before, 0)), key, value, None, **named)
    return output[:, before:], None


def _language(model: PreTrainedModel) -> Any:
    foreign: Any = model.base_model
    return foreign.language_model


def _attention(model: PreTrainedModel) -> str:
    return str(_language(model).config._attn_implementation)
