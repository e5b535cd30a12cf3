"""Learning weights enter each module in a shorter number format; what is learned stays float32."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from torch import nn


def shorten_weights(model: nn.Module, dtype: torch.dtype) -> int:
    """Let every module that owns learning float32 parameters compute with copies of them in `dtype`.

    Autocast alone shortens products, not what lies between them: norms, scales and the residual stream of a learning
    part would be float32, with a conversion before each product. Gradients pass the copies and add up in float32, as
    with autocast; modules read their parameters when they are called, so that recomputation in the backward pass and
    parameters gathered from other processes come out the same.

    Returns:
        How many modules there are.
    """
    owners = [module for module in model.modules() if _learning(module)]
    for module in owners:
        if isinstance(module, nn.Embedding):
            # Rows are looked up first: a copy of the whole table would cost more than the step saves.
            _shorten_output(module, dtype)
        else:
            _shorten_parameters(module, dtype)
    return len(owners)


def _learning(module: nn.Module) -> list[str]:
    own = module.named_parameters(recurse=False)
    return [name for name, each in own if each.requires_grad and each.dtype == torch.float32]


def _shorten_output(module: nn.Module, dtype: torch.dtype) -> None:
    forward = module.forward

    @wraps(forward)
    def run(*arguments: Any, **named: Any) -> torch.Tensor:
        rows: torch.Tensor = forward(*arguments, **named)
        return rows.to(dtype) if torch.is_autocast_enabled(rows.device.type) else rows

    module.forward = run


def _shorten_parameters(module: nn.Module, dtype: torch.dtype) -> None:
    forward = module.forward
    names = _learning(module)

    @wraps(forward)
    def run(*arguments: Any, **named: Any) -> Any:
        slots: dict[str, Any] = module._parameters
        kept = {name: slots[name] for name in names}
        device = next(iter(kept.values())).device.type
        if not torch.is_autocast_enabled(device):
            return forward(*arguments, **named)
        # What comes from a part in long numbers: norms refuse weights that are shorter than what they normalise.
        arguments = tuple(_shorter(each, dtype) for each in arguments)
        named = {name: _shorter(each, dtype) for name, each in named.items()}
        try:
            slots.update({name: parameter.to(dtype) for name, parameter in kept.items()})
            return forward(*arguments, **named)
        finally:
            slots.update(kept)

    module.forward = run


def _shorter(value: Any, dtype: torch.dtype) -> Any:
    long = isinstance(value, torch.Tensor) and value.dtype == torch.float32
    return value.to(dtype) if long else value
