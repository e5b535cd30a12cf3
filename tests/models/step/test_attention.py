"""Attention for short sequences: transformers' plain attention is the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers.models.internvl.modeling_internvl import eager_attention_forward

from nameplate.models.step.attention import short_attention


def inputs(heads: int, groups: int, *, batch: int = 2, length: int = 7, dtype: torch.dtype = torch.float64) -> Any:
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, count, length, 5) for count in (heads, groups, groups)]
    return [torch.randn(shape, generator=generator, dtype=dtype, requires_grad=True) for shape in shapes]


def causal(batch: int, length: int) -> torch.Tensor:
    mask = torch.full((batch, 1, length, length), torch.finfo(torch.float64).min, dtype=torch.float64).triu(1)
    return mask.clone()


def repeating(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *arguments: Any, **named: Any
) -> Any:
    times = query.shape[1] // key.shape[1]
    repeated = (each.repeat_interleave(times, dim=1) for each in (key, value))
    return eager_attention_forward(module, query, *repeated, *arguments, **named)


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("masked", ["no", "one for all", "each its own"])
def test_outputs_and_gradients_equal_plain_attention(heads: int, groups: int, masked: str) -> None:
    mask = None if masked == "no" else causal(1 if masked == "one for all" else 2, 7)
    if masked == "each its own":
        assert mask is not None
        mask[1, :, 4:, :4] = torch.finfo(torch.float64).min
    outcomes = []
    for attend in (repeating, short_attention):
        tensors = inputs(heads, groups)
        output = attend(torch.nn.Identity(), *tensors, mask, scaling=0.3)[0]
        (output * torch.arange(output.numel()).view(output.shape)).sum().backward()
        outcomes.append([output.detach(), *(each.grad for each in tensors)])
    for ours, plain in zip(outcomes[1], outcomes[0], strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


def test_gradients_are_those_of_finite_differences() -> None:
    mask = causal(1, 3)
    tensors = inputs(4, 2, length=3)

    def attend(*three: torch.Tensor) -> torch.Tensor:
        return short_attention(torch.nn.Identity(), *three, mask)[0]

    assert torch.autograd.gradcheck(attend, tensors)


def test_dropped_weights_are_the_same_on_the_way_back() -> None:
    tensors = inputs(2, 2, length=4)

    def attend(*three: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return short_attention(torch.nn.Identity(), *three, None, dropout=0.5)[0]

    assert torch.autograd.gradcheck(attend, tensors)
    assert not torch.equal(attend(*tensors), short_attention(torch.nn.Identity(), *tensors, None)[0])


def test_under_autocast_it_computes_in_short_numbers() -> None:
    tensors = inputs(2, 2, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output = short_attention(torch.nn.Identity(), *tensors, None)[0]
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert all(each.grad is not None and each.grad.dtype == torch.float32 for each in tensors)
