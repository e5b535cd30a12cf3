"""Computing activations again in the backward pass instead of keeping them, in the layers that gradients pass."""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from nameplate.models.components import Component
from nameplate.models.policy import AppliedPolicies


def recompute_layers(applied: AppliedPolicies) -> int:
    """Wrap each layer that a gradient passes through, learning or not; how many there are.

    transformers' own switch works on layers in training mode only, so never on frozen ones, and turns the outputs of
    frozen embeddings into leaves that ask for gradients. A layer before everything that learns is left alone.
    """
    layers = list(passed_layers(applied))
    for layer in layers:
        _recompute(layer)
    return len(layers)


def passed_layers(applied: AppliedPolicies) -> Iterator[nn.Module]:
    """Layers that a gradient passes through: those that learn, and those after something that learns."""
    flows = False
    for component in applied.components.values():
        flows = flows or _learns_before_layers(component)
        for layer in component.layers:
            flows = flows or any(parameter.requires_grad for parameter in layer.parameters())
            if flows and not isinstance(layer, nn.ModuleList):
                yield layer
        flows = flows or any(parameter.requires_grad for parameter in component.parameters.values())


def _learns_before_layers(component: Component) -> bool:
    return any(component.parameters[name].requires_grad for name in component.embeddings)


def _recompute(layer: nn.Module) -> None:
    forward = layer.forward

    @wraps(forward)
    def run(*arguments: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*arguments, **named)
        return checkpoint(forward, *arguments, use_reentrant=False, **named)

    layer.forward = run
