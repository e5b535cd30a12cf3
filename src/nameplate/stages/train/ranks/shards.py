"""FSDP2: a model divided among processes by its components.

Source: torch's `fully_shard`. A layer, as the components know it, is what is put together at once.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard

from nameplate.models.components import partition
from nameplate.models.policy import AppliedPolicies
from nameplate.stages.train.ranks.plugins import Sharding


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
