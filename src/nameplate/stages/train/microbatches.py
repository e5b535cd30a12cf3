"""How the examples of one optimizer step are divided into forward passes, and whether several share a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from transformers import PreTrainedModel

from nameplate.errors import ModelError
from nameplate.models.packing import can_pack, pays

LOOKED_AT: Final = 64
"""Micro-batches whose lengths decide whether packing pays."""


def evenly(items: Sequence[int], parts: int) -> Iterator[list[int]]:
    """So many parts, in order, of sizes that differ by one at most."""
    bounds = [len(items) * part // parts for part in range(parts + 1)]
    for start, end in itertools.pairwise(bounds):
        yield list(items[start:end])


def packs(
    setting: Literal["off", "on", "auto"],
    model: PreTrainedModel,
    micro_batches: Iterable[Sequence[int]],
    *,
    keeps_hidden: bool = False,
) -> bool:
    """Whether the examples of a micro-batch shall share rows.

    Args:
        setting: of the recipe. auto: where it is possible and saves enough tokens.
        model: that will read them.
        micro_batches: lengths of their examples; the first few are looked at.
        keeps_hidden: hidden states are kept, each for an example in a row of its own.

    Raises:
        ModelError: it is on and not possible.
    """
    possible = can_pack(model) and not keeps_hidden
    if setting == "on" and not possible:
        attention = model.config._attn_implementation
        found = "hidden states that are kept" if keeps_hidden else f"a {model.config.model_type} and {attention}"
        fix = "or set memory.prefix to projected" if keeps_hidden else "or memory.attention to auto, with an InternVL"
        raise ModelError("train.memory.packing", found=f"on, with {found}", expected="auto or off", fix=fix)
    if setting != "auto":
        return setting == "on"
    return possible and pays(list(itertools.islice((each for each in micro_batches if each), LOOKED_AT)))
