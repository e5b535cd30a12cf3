"""For each of some perceptual hashes the nearest among others, without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

HASH_BITS: Final = 64
_BLOCK: Final = 2048
"""Hashes compared with so many at once."""
_WAITING: Final = 1 << 20
"""Pairs that wait before the nearest of them are picked; bounds memory."""

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


class Near(NamedTuple):
    """Places in `held` and `train`, and in how many bits they differ: (num_pairs,) each, nearest first."""

    held: Places
    train: Places
    bits: Places


def nearest_across(held: Hashes, train: Hashes, *, bits: int, most: int) -> Near:
    """Pairs that differ in at most `bits`; of each held hash the `most` nearest, of equally near ones the first.

    The hashes are cut into `bits` + 1 bands: two that differ in at most `bits` places agree in one of them at least.
    Memory does not depend on how many share a band.

    Args:
        held: (num_held,) distinct hashes.
        train: (num_train,) distinct hashes.
        bits: most bits that may differ.
        most: pairs to keep of each held hash.
    """
    edges = [HASH_BITS * band // (bits + 1) for band in range(bits + 2)]
    kept, waiting, num_waiting = _none(), list[Near](), 0
    for low, high in pairwise(edges):
        mask = np.uint64((1 << (high - low)) - 1)
        for ours, theirs in _meeting((held >> np.uint64(low)) & mask, (train >> np.uint64(low)) & mask):
            for found in _near_blocks(held, train, ours, theirs, bits):
                waiting.append(found)
                num_waiting += found.held.size
                if num_waiting > _WAITING:
                    kept, waiting, num_waiting = _nearest([kept, *waiting], most), [], 0
    return _nearest([kept, *waiting], most)


def _meeting(ours: Hashes, theirs: Hashes) -> list[tuple[Places, Places]]:
    """Places of each value that both have."""
    order_ours, order_theirs = np.argsort(ours, kind="stable"), np.argsort(theirs, kind="stable")
    ours, theirs = ours[order_ours], theirs[order_theirs]
    both = np.intersect1d(ours, theirs)
    starts, ends = np.searchsorted(ours, both, "left"), np.searchsorted(ours, both, "right")
    firsts, lasts = np.searchsorted(theirs, both, "left"), np.searchsorted(theirs, both, "right")
    return [
        (order_ours[start:end], order_theirs[first:last])
        for start, end, first, last in zip(starts, ends, firsts, lasts, strict=True)
    ]


def _near_blocks(held: Hashes, train: Hashes, ours: Places, theirs: Places, bits: int) -> Iterator[Near]:
    for start in range(0, ours.size, _BLOCK):
        rows = ours[start : start + _BLOCK]
        for column in range(0, theirs.size, _BLOCK):
            others = theirs[column : column + _BLOCK]
            apart = np.bitwise_count(held[rows][:, None] ^ train[others][None, :])
            first, second = np.nonzero(apart <= bits)
            if first.size:
                yield Near(rows[first], others[second], apart[first, second].astype(np.int64))


def _nearest(pieces: list[Near], most: int) -> Near:
    held, train, bits = (np.concatenate([piece[column] for piece in pieces]) for column in range(3))
    order = np.lexsort((train, bits, held))
    held, train, bits = held[order], train[order], bits[order]
    # A pair may have met in several bands; it stands side by side then.
    new = np.ones(held.size, dtype=bool)
    new[1:] = (held[1:] != held[:-1]) | (train[1:] != train[:-1])
    held, train, bits = held[new], train[new], bits[new]
    place = np.arange(held.size) - np.searchsorted(held, held)
    few = place < most
    return Near(held[few], train[few], bits[few])


def _none() -> Near:
    empty = np.empty(0, dtype=np.int64)
    return Near(empty, empty, empty)
