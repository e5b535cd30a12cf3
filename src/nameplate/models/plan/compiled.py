"""Layers that training compiles, so that they take less time than was measured: how much less, where it is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from nameplate.models.compilable import LEAST_AHEAD_MICRO_BATCHES, LEAST_AHEAD_SECONDS, compilable_layers
from nameplate.models.plan.hardware import Hardware
from nameplate.models.plan.ledger import Owner
from nameplate.models.plan.probe import try_compiled_layer
from nameplate.models.plan.rehearsal import Rehearsal
from nameplate.models.plan.wording import duration
from nameplate.models.policy import AppliedPolicies
from nameplate.models.step.compiling import LEAST_GAIN, CompilerFailureError
from nameplate.recipe import MemorySection


class CompiledLayers(NamedTuple):
    """Layers of the language model, and what compiling them is known to do."""

    places: frozenset[int] = frozenset()
    """Of those that training may compile."""
    saved: float = 0.0
    """Share of their time; 0: nothing, or it was not measured."""
    compile_seconds: float = 0.0
    said: str = ""
    """What the measurement found; empty: there was none."""

    def owns(self, owner: Owner) -> bool:
        """Whether it is one of them."""
        return owner.part == "language" and owner.layer in self.places

    def lines(self, seconds: float, micro_batches: int) -> Iterator[str]:
        """What there is to say of it.

        Args:
            seconds: that these layers take in the whole training.
            micro_batches: of the whole training.
        """
        if self.said:
            yield self.said
        elif seconds >= LEAST_AHEAD_SECONDS and micro_batches >= LEAST_AHEAD_MICRO_BATCHES:
            yield (
                f"training will try to compile language layers that take {duration(seconds)} of this: about a quarter "
                "less, where it was measured (docs/training-speed.md); "
                "--set train.memory.compile=on measures it here, in up to a minute"
            )


NOTHING_COMPILED: Final = CompiledLayers()


def compiled_layers(
    applied: AppliedPolicies, memory: MemorySection, typical: Rehearsal, hardware: Hardware, device: str
) -> CompiledLayers:
    """Which layers training may compile. Where the recipe says `on`, one is compiled and timed, as training does it.

    Args:
        applied: a model without values under its policies.
        memory: of the recipe.
        typical: its rehearsed micro-batch.
        hardware: that it will train on.
        device: kind of it.

    Raises:
        ModelError: the recipe says `on`, and nothing can be compiled there.
    """
    chosen = {id(layer) for layer in compilable_layers(applied, memory, device=device)}
    layers = applied.components["language"].layers
    places = frozenset(place for place, layer in enumerate(layers) if id(layer) in chosen)
    if memory.compile != "on":
        return CompiledLayers(places)
    try:
        trial = try_compiled_layer(applied, typical, hardware)
    except CompilerFailureError as failure:
        return CompiledLayers(said=f"language layers are not counted as compiled: {failure}")
    if trial.gain <= LEAST_GAIN:
        return CompiledLayers(said="language layers are not counted as compiled: one is not faster so here")
    said = f"language layers are counted as compiled: {trial.gain:.0%} less time each, measured on one"
    return CompiledLayers(places, trial.gain, trial.compile_seconds, said)
