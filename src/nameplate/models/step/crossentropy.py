"""Cross entropy of every place by itself, a few rows of logits at a time, none of them kept in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import torch

_ELEMENTS: Final = {"cpu": 1 << 18}
"""Logits that are looked at together: what the cache of a core holds in float32, in every pass over them."""
_ELEMENTS_ELSEWHERE: Final = 1 << 26
_device: ContextVar[str | None] = ContextVar("_device", default=None)


def place_losses(logits: torch.Tensor, targets: torch.Tensor, *, ignored: int) -> torch.Tensor:
    """What `torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")` computes.

    That one passes over float32 copies of all logits some eight times, forward and backward; here a part of them stays
    in the cache from the first pass to the last, and what is kept for the way back is the logits as they are.

    Args:
        logits: (K, vocabulary), of any floating type.
        targets: (K,) int64.
        ignored: a target that carries no loss.

    Returns:
        (K,) float32.
    """
    losses: torch.Tensor = _PlaceLosses.apply(logits, targets, ignored)
    return losses


@contextmanager
def divided_as_on(device: str) -> Iterator[None]:
    """Look at as many rows together as on that kind of device: for the rehearsal of a step that will run there."""
    before = _device.set(device)
    try:
        yield
    finally:
        _device.reset(before)


class _PlaceLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor, ignored: int) -> torch.Tensor:
        counted = targets != ignored
        places = torch.where(counted, targets, 0)[:, None]
        norms = torch.empty(len(logits), 1, dtype=torch.float32, device=logits.device)
        of_target = torch.empty_like(norms)
        for part, values in _parts(logits):
            of_target[part] = values.gather(1, places[part])
            highest = values.amax(dim=1, keepdim=True)
            # By hand: `logsumexp` takes twice as long.
            norms[part] = values.sub_(highest).exp_().sum(dim=1, keepdim=True).log_().add_(highest)
        ctx.save_for_backward(logits, places, counted, norms)
        return torch.where(counted, (norms - of_target)[:, 0], 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, places, counted, norms = ctx.saved_tensors
        scale = torch.where(counted, gradients[0], 0.0)[:, None]
        result = torch.empty_like(logits)
        for part, values in _parts(logits):
            values.sub_(norms[part]).exp_().mul_(scale[part])
            result[part] = values.scatter_add_(1, places[part], -scale[part])
        return result, None, None


def _parts(logits: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """A few rows at a time, and their values in float32, which the next rows overwrite."""
    elements = _ELEMENTS.get(_device.get() or logits.device.type, _ELEMENTS_ELSEWHERE)
    rows = min(len(logits), max(1, elements // logits.shape[1]))
    room = torch.empty(rows, logits.shape[1], dtype=torch.float32, device=logits.device)
    for start in range(0, len(logits), rows):
        part = slice(start, min(start + rows, len(logits)))
        values = room[: part.stop - start]
        yield part, values.copy_(logits[part])
