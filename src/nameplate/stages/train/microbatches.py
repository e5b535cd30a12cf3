"""How the examples of one optimizer step are divided into forward passes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence


def evenly(items: Sequence[int], parts: int) -> Iterator[list[int]]:
    """So many parts, in order, of sizes that differ by one at most."""
    bounds = [len(items) * part // parts for part in range(parts + 1)]
    for start, end in itertools.pairwise(bounds):
        yield list(items[start:end])
