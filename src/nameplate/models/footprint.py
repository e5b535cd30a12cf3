"""What a training holds in memory besides activations: weights, gradients, the optimizer's state, an average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import nn

from nameplate.models.groups import hidden_matrices
from nameplate.models.optimizers.build import APOLLO_RANK
from nameplate.models.policy import AppliedPolicies
from nameplate.recipe import MemorySection, OptimizerSection

_BLOCK, _SMALL = 256, 4096
"""bitsandbytes: numbers that share a scale (float32) in 8-bit moments; smaller tensors keep 32-bit moments."""
_QUANTISED = {"int8": (1.0, 4.0), "nf4": (0.5 + 1 / 64, 0.0)}
"""Bytes a weight, and bytes a row: LLM.int8() has one scale a row, NF4 one (itself in 8 bits) for each 64 weights."""


class Footprint(NamedTuple):
    """Bytes, each tensor counted once.

    Not counted: activations (`nameplate plan` rehearses them), copies of what learns that autocast makes in bfloat16
    while a step runs (2 bytes a learning parameter), buffers, and what the device's runtime takes for itself.
    """

    weights: int
    gradients: int
    optimizer: int
    average: int = 0
    """The exponential moving average, where there is one."""

    @property
    def together(self) -> int:
        """All of it."""
        return sum(self)


def footprint(
    applied: AppliedPolicies, optimizer: OptimizerSection | None = None, memory: MemorySection | None = None
) -> Footprint:
    """Of a model under its policies; a model on the meta device will do.

    Args:
        applied: the model's parts. Not quantised: quantisation is counted from `memory`, for it needs values.
        optimizer: its name decides the state; none: AdamW.
        memory: says whether the language model's layers are held in 8 or 4 bits; none: they are not.
    """
    optimizer = optimizer or OptimizerSection()
    found: dict[int, nn.Parameter] = {}
    for component in applied.components.values():
        found |= {id(parameter): parameter for parameter in component.parameters.values()}
    learning = [parameter for parameter in found.values() if parameter.requires_grad]
    gradients = sum(parameter.nbytes for parameter in learning)
    packed = quantised_bytes(applied, memory.quantise) if memory is not None and memory.quantise is not None else {}
    return Footprint(
        sum(packed.get(key, parameter.nbytes) for key, parameter in found.items()),
        gradients,
        sum(_state(applied, optimizer)),
        # In float32, whatever the weights are.
        sum(4 * each.numel() for each in learning) if optimizer.ema_decay is not None else 0,
    )


def quantised_bytes(applied: AppliedPolicies, kind: str) -> Mapping[int, int]:
    """Bytes of each matrix of the language model's layers once it is quantised, by its identity."""
    per_weight, per_row = _QUANTISED[kind]
    matrices = [linear.weight for linear in applied.components["language"].linears().values()]
    return {id(each): round(each.numel() * per_weight + each.shape[0] * per_row) for each in matrices}


def _state(applied: AppliedPolicies, optimizer: OptimizerSection) -> Iterator[int]:
    hidden = hidden_matrices(applied)
    for parameter in applied.trainable().values():
        yield _moments(parameter, optimizer, is_hidden=id(parameter) in hidden)


def _moments(parameter: nn.Parameter, optimizer: OptimizerSection, *, is_hidden: bool) -> int:
    """Muon and APOLLO are for the matrices of linear modules inside the model; everything else has AdamW's moments."""
    name, count = optimizer.name, parameter.numel()
    if name == "adamw_8bit":
        return 2 * (count + 4 * -(-count // _BLOCK)) if count >= _SMALL else 2 * 4 * count
    if is_hidden and name == "muon":
        return int(parameter.nbytes)
    if is_hidden and name in ("apollo", "apollo_mini"):
        rank = 1 if name == "apollo_mini" else optimizer.rank or APOLLO_RANK
        return int(2 * 4 * min(rank, *parameter.shape) * max(parameter.shape))
    return int(2 * parameter.nbytes)
