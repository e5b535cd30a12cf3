"""Which layers a training may compile, and when it is worth trying: for the training, and for the plan of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import nn

from nameplate.errors import ModelError
from nameplate.models.policy import AppliedPolicies
from nameplate.models.recompute import passed_layers
from nameplate.models.step.compiling import has_compiler
from nameplate.recipe import MemorySection

LEAST_AHEAD_SECONDS: Final = 1200.0
"""Of plain layers: compiling takes 15 to 60 seconds, saves a quarter where it does well, and may save nothing."""
LEAST_AHEAD_MICRO_BATCHES: Final = 50
"""Fewer are not worth the looking."""


def compilable_layers(
    applied: AppliedPolicies, memory: MemorySection, *, device: str, processes: int = 1
) -> list[nn.Module]:
    """Layers of the language model that gradients pass; none: they stay as they are.

    Layers of the vision tower are left as they are: products take most of their time (docs/training-speed.md).

    Args:
        applied: the model under its policies.
        memory: of the recipe; says whether.
        device: kind of the one that it trains on.
        processes: that train together.

    Raises:
        ModelError: the recipe says `on`, and nothing can be compiled there.
    """
    own = {id(layer) for layer in applied.components["language"].layers}
    layers = [layer for layer in passed_layers(applied) if id(layer) in own]
    obstacle = _obstacle(layers, memory, device, processes)
    if memory.compile == "on" and obstacle is not None:
        raise ModelError(
            "train.memory.compile",
            found=f"on, {obstacle}",
            expected="auto or off",
            fix="set it to auto, which compiles where that is possible",
        )
    return layers if memory.compile != "off" and obstacle is None else []


def _obstacle(layers: Sequence[nn.Module], memory: MemorySection, device: str, processes: int) -> str | None:
    if device != "cpu":
        return f"on {device}, where it was never measured"
    if processes > 1:
        return f"with {processes} processes"
    if memory.checkpointing:
        return "with memory.checkpointing"
    if not layers:
        return "but no gradient passes a layer of the language model"
    return None if has_compiler() else "but there is no C++ compiler (g++ or clang++)"
