"""Going on from hidden states that were kept: the frozen lower layers hand them over instead of computing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from nameplate.models.components import partition

_KEPT: ContextVar[torch.Tensor | None] = ContextVar("kept hidden states", default=None)


def language_layers(model: PreTrainedModel) -> tuple[nn.Module, ...]:
    """The language model's layers, first to last."""
    return partition(model)["language"].layers


def make_skippable(layers: Sequence[nn.Module]) -> None:
    """Let lower layers be skipped under `going_on_from`; otherwise they compute as before.

    Their weights stay where they are, so that checkpoints are whole, and masks and positions are made by the family's
    own code, so that nothing of its configuration needs to be cut.
    """
    for place, layer in enumerate(layers):
        if not hasattr(layer.forward, "skippable"):
            layer.forward = _skippable(layer.forward, first=place == 0)


@contextmanager
def going_on_from(hidden: torch.Tensor | None) -> Iterator[None]:
    """Skip what was made skippable, its outcome being `hidden`, (B, T, width); none: skip nothing."""
    token = _KEPT.set(hidden)
    try:
        yield
    finally:
        _KEPT.reset(token)


@contextmanager
def stopping_after(layers: Sequence[nn.Module], depth: int) -> Iterator[list[torch.Tensor]]:
    """Let layers from `depth` on do nothing, and collect what the one before them gives, a tensor per forward pass."""
    caught: list[torch.Tensor] = []

    def catch(_: nn.Module, __: Any, output: Any) -> None:
        assert isinstance(output, torch.Tensor), "layers that give more than a hidden state cannot be skipped"
        caught.append(output)

    above = {layer: layer.__dict__.get("forward") for layer in layers[depth:]}
    hook = layers[depth - 1].register_forward_hook(catch)
    try:
        for layer in above:
            layer.forward = _pass_on
        yield caught
    finally:
        hook.remove()
        for layer, own in above.items():
            del layer.__dict__["forward"]
            if own is not None:
                layer.forward = own


def _pass_on(hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return hidden_states


def _skippable(forward: Any, *, first: bool) -> Any:
    @wraps(forward)
    def run(hidden_states: torch.Tensor, *arguments: Any, **named: Any) -> Any:
        kept = _KEPT.get()
        if kept is None:
            return forward(hidden_states, *arguments, **named)
        return kept if first else hidden_states

    run.skippable = True  # type: ignore[attr-defined]  # a mark for make_skippable
    return run
