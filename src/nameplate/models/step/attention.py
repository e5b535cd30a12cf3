"""Attention for short sequences on a CPU, forward and backward in as few passes over the scores as it takes."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

SHORT: Final = "nameplate_short"
"""Its name among transformers' attentions."""


def register_short_attention() -> None:
    """Make it known to transformers; models take it up by `set_attn_implementation(SHORT)`."""
    AttentionInterface.register(SHORT, short_attention)
    AttentionMaskInterface.register(SHORT, eager_mask)


def short_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """What `eager_attention_forward` of transformers computes, keys of grouped queries never repeated.

    Args:
        module: unused; transformers hands it over.
        query: (B, H, T, D).
        key: (B, K, S, D), H a multiple of K.
        value: as key.
        attention_mask: added to the scores, (B or 1, 1, T, S); none: every query sees every key.
        scaling: of scores; none: 1 / sqrt(D).
        dropout: of attention weights.

    Returns:
        (B, T, H, D).
    """
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    batch, heads, length, width = query.shape
    groups = key.shape[1]
    scale = width**-0.5 if scaling is None else scaling
    # All queries of one key head are rows of one product.
    rows = query.reshape(batch * groups, heads // groups * length, width)
    # No size is left to be found (-1): compiled code would divide for it in the place of every element.
    flat_key, flat_value = (each.reshape(batch * groups, key.shape[2], width) for each in (key, value))
    keep = None if dropout == 0 else functional.dropout(rows.new_ones(*rows.shape[:2], flat_key.shape[1]), dropout)
    mask = None if attention_mask is None else attention_mask[..., : key.shape[2]].to(query.dtype)
    output = _Attention.apply(rows, flat_key, flat_value, mask, keep, scale, (batch, heads, length, key.shape[2]))
    assert isinstance(output, torch.Tensor)
    return output.view(batch, heads, length, width).transpose(1, 2), None


class _Attention(torch.autograd.Function):
    """Scores are scaled inside the products, masked in place, and kept once, as weights, for the way back."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        keep: torch.Tensor | None,
        scale: float,
        shape: tuple[int, int, int, int],
    ) -> torch.Tensor:
        scores = _scaled_product(query, key.transpose(1, 2), scale)
        if mask is not None:
            scores.view(shape).add_(mask)
        weights = torch.softmax(scores, dim=-1)
        ctx.save_for_backward(query, key, value, weights, keep)
        ctx.scale = scale
        return torch.bmm(weights if keep is None else weights * keep, value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, weights, keep = ctx.saved_tensors
        gradient = gradients[0]
        used = weights if keep is None else weights * keep
        of_value = torch.bmm(used.transpose(1, 2), gradient)
        of_weights = torch.bmm(gradient, value.transpose(1, 2))
        if keep is not None:
            of_weights.mul_(keep)
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_query = _scaled_product(of_scores, key, ctx.scale)
        of_key = _scaled_product(of_scores.transpose(1, 2), query, ctx.scale)
        return of_query, of_key, of_value, None, None, None, None


def _scaled_product(left: torch.Tensor, right: torch.Tensor, scale: float) -> torch.Tensor:
    ignored = left.new_empty(1, 1, 1)
    return torch.baddbmm(ignored, left, right, beta=0, alpha=scale)
