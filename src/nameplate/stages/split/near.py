"""Which perceptual hashes are nearly equal, without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 64

# Pairs compared at once; bounds memory when many hashes share a band.
_BLOCK = 2048

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.intp]


def near_pairs(hashes: Hashes, *, bits: int) -> Iterator[Pairs]:
    """Places of pairs, (num_pairs, 2), that differ in at most `bits` of 64; a pair may come more than once.

    The hashes are cut into `bits` + 1 bands: two that differ in at most `bits` places agree in one band at least, so
    only those that share a band are compared. The cost grows with the square of those, not of all.

    Args:
        hashes: (num_hashes,) distinct hashes.
        bits: most bits that may differ, 0 to 8.
    """
    edges = [HASH_BITS * band // (bits + 1) for band in range(bits + 2)]
    for low, high in pairwise(edges):
        mask = np.uint64((1 << (high - low)) - 1)
        for members in _same((hashes >> np.uint64(low)) & mask):
            yield from _near_members(hashes, members, bits)


def _same(band: Hashes) -> Iterator[NDArray[np.intp]]:
    """Places of equal values, for values that come more than once."""
    order = np.argsort(band, kind="stable")
    ends = np.flatnonzero(np.diff(band[order])) + 1
    return (places for places in np.split(order, ends) if places.size > 1)


def _near_members(hashes: Hashes, members: NDArray[np.intp], bits: int) -> Iterator[Pairs]:
    for start in range(0, members.size, _BLOCK):
        rows = members[start : start + _BLOCK]
        for column in range(start, members.size, _BLOCK):
            others = members[column : column + _BLOCK]
            apart = np.bitwise_count(hashes[rows][:, None] ^ hashes[others][None, :])
            first, second = np.nonzero(apart <= bits)
            upper = rows[first] < others[second]
            yield np.stack([rows[first], others[second]], -1)[upper]
