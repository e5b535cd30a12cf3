"""FSDP2: a model divided among processes by its components, and put together again for what must be whole.

Source: torch's `fully_shard`. A layer, as the components know it, is what is put together at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from nameplate.errors import TrainingError
from nameplate.models.components import partition
from nameplate.models.policy import AppliedPolicies
from nameplate.recipe import TrainSection
from nameplate.stages.train.ranks.plugins import Sharding

_DIVISIBLE: Final = frozenset({"adamw", "muon"})


def check_divisible(section: TrainSection, sharding: Sharding | None) -> None:
    """Refuse an optimizer that looks at whole matrices in a way that parts of them do not allow.

    Raises:
        TrainingError: it is one, and weights shall be divided.
    """
    if sharding is not None and section.optimizer.name not in _DIVISIBLE:
        raise TrainingError(
            f"train.optimizer.name: {section.optimizer.name}",
            found="it does not go with weights that are divided among processes (FSDP2)",
            expected=" or ".join(sorted(_DIVISIBLE)),
            fix="set it so, or start without FSDP",
        )


def divide(model: nn.Module, applied: AppliedPolicies, sharding: Sharding) -> AppliedPolicies:
    """Divide a model in place; the policies with the parameters that it has now."""
    options: dict[str, Any] = {
        "offload_policy": CPUOffloadPolicy() if sharding.offload else OffloadPolicy(),
        # What is quantised is no number that could be divided: every process holds it.
        "ignored_params": {each for each in model.parameters() if not each.is_floating_point()},
    }
    for component in applied.components.values():
        for layer in component.layers:
            if not isinstance(layer, (nn.ModuleList, nn.ModuleDict)):
                fully_shard(layer, reshard_after_forward=sharding.reshard, **options)
    fully_shard(model, **options)
    return applied._replace(components=partition(model))  # type: ignore[arg-type]  # it stays what it was


def undivided(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with the parts of all processes, where it is. All of them must come here, in the same order."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The same on the CPU, without a graph."""
    return undivided(tensor.detach()).cpu()


@torch.no_grad()
def put(values: torch.Tensor, into: torch.Tensor) -> None:
    """Set a tensor, or this process's part of it, to values that every process has."""
    into.copy_(like(values, into))


def like(values: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Values that every process has, divided as another tensor of this shape is; as they are, where it is not."""
    if not isinstance(other, DTensor) or values.shape != other.shape:
        return values
    # Without a source nothing is sent: each process takes its part of what it holds.
    return distribute_tensor(values.to(other.device), other.device_mesh, other.placements, src_data_rank=None)


def copy_whole(parameters: Mapping[str, nn.Parameter], into: Mapping[str, nn.Parameter] | None) -> None:
    """Gather parameters into those of an undivided model, by name; a process that has none only takes part."""
    for name, parameter in parameters.items():
        values = whole(parameter)
        if into is not None:
            with torch.no_grad():
                into[name].copy_(values)
