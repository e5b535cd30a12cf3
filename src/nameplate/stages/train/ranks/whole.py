"""What is divided among processes, put together and taken apart again, whoever has divided it; else, as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from nameplate.stages.train.ranks import zero


def undivided(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with the parts of all processes, where it is. All of them must come here, in the same order."""
    if zero.is_divided(tensor):
        return zero.undivided(tensor)
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The same on the CPU, without a graph."""
    return undivided(tensor).detach().cpu()


@torch.no_grad()
def put(values: torch.Tensor, into: torch.Tensor) -> None:
    """Set a tensor, or this process's part of it, to values that every process has."""
    if zero.has_divided_moments(into):
        zero.put(values, into)
    else:
        into.copy_(_like(values, into))


def copy_whole(parameters: Mapping[str, nn.Parameter], into: Mapping[str, nn.Parameter] | None) -> None:
    """Gather parameters into those of an undivided model, by name; a process that has none only takes part."""
    for name, parameter in parameters.items():
        values = whole(parameter)
        if into is not None:
            with torch.no_grad():
                into[name].copy_(values)


def gather_states(
    parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> Iterator[tuple[nn.Parameter, Mapping[str, Any]]]:
    """What an optimizer keeps of each parameter: numbers, and tensors that may still be divided.

    All processes must come here.
    """
    if any(map(zero.has_divided_moments, parameters.values())):
        yield from zero.gather_states(parameters, optimizer)
    else:
        states: Mapping[Any, Mapping[str, Any]] = optimizer.state
        yield from states.items()


@torch.no_grad()
def put_state(
    optimizer: torch.optim.Optimizer, parameter: nn.Parameter, field: str, value: torch.Tensor | float
) -> None:
    """Set what an optimizer keeps of a parameter, or this process's part, to what every process has."""
    if not isinstance(value, torch.Tensor):
        optimizer.state[parameter][field] = value
    elif zero.has_divided_moments(parameter):
        zero.put_state(optimizer, parameter, field, value)
    else:
        optimizer.state[parameter][field] = _like(value.to(parameter.device), parameter)


def _like(values: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Values that every process has, divided as another tensor of this shape is; as they are, where it is not."""
    if not isinstance(other, DTensor) or values.shape != other.shape:
        return values
    # Without a source nothing is sent: each process takes its part of what it holds.
    return distribute_tensor(values.to(other.device), other.device_mesh, other.placements, src_data_rank=None)
