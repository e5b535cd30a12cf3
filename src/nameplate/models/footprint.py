"""What a training holds in memory besides activations: weights, gradients and AdamW's two moments."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from nameplate.models.policy import AppliedPolicies


class Footprint(NamedTuple):
    """Bytes, each tensor counted once.

    Not counted: activations (they follow from batch, tiles and tokens), copies of what learns that autocast makes in
    bfloat16 while a step runs (2 bytes a learning parameter), buffers, and what the device's runtime takes for itself.
    """

    weights: int
    gradients: int
    optimizer: int

    @property
    def together(self) -> int:
        """All three."""
        return self.weights + self.gradients + self.optimizer


def footprint(applied: AppliedPolicies) -> Footprint:
    """Of a model under its policies; a model on the meta device will do."""
    found: dict[int, nn.Parameter] = {}
    for component in applied.components.values():
        found |= {id(parameter): parameter for parameter in component.parameters.values()}
    learning = sum(parameter.nbytes for parameter in found.values() if parameter.requires_grad)
    return Footprint(sum(parameter.nbytes for parameter in found.values()), learning, 2 * learning)
