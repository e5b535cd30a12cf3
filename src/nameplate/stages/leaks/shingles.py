"""Texts as sets of three words in a row, and which sets are nearly equal (MinHash in bands, Broder 1997).

Two texts meet where four of their 64 smallest hashes, always the same four, are equal; of those that overlap in three
quarters of their shingles 99.8 % do. What met is then compared in full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nameplate.text.words import comparable, pieces

SHINGLE_WORDS: Final = 3
MIN_WORDS: Final = 8
"""Shorter texts have too few shingles to be nearly anything."""
BANDS: Final = 16
_IN_BAND: Final = 4

Words = NDArray[np.uint64]
_ODD: Final = np.random.default_rng(7).integers(0, 1 << 63, size=(2, BANDS * _IN_BAND), dtype=np.uint64) * 2 + 1


class Shingles(NamedTuple):
    """Of some texts: all shingles in a row, and where each text's begin and end, (num_texts + 1,)."""

    values: Words
    edges: NDArray[np.int64]

    def of(self, place: int) -> Words:
        """One text's shingles, sorted, each once."""
        return np.unique(self.values[self.edges[place] : self.edges[place + 1]])


def shingle(texts: Sequence[str]) -> Shingles:
    """The shingles of texts; texts of under `MIN_WORDS` words have none."""
    words = [pieces(comparable(text)) for text in texts]
    words = [own if len(own) >= MIN_WORDS else [] for own in words]
    numbers = np.fromiter((_number(word) for own in words for word in own), dtype=np.uint64)
    lengths = np.array([len(own) for own in words], dtype=np.int64)
    edges = np.concatenate([[0], np.cumsum(np.maximum(lengths - SHINGLE_WORDS + 1, 0))]).astype(np.int64)
    # A shingle begins at every word but each text's last two.
    place_in_text = np.arange(numbers.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    begins = np.flatnonzero(place_in_text <= np.repeat(lengths, lengths) - SHINGLE_WORDS)
    # Mixed before the next is added, so that order counts.
    values = _mix(numbers[begins])
    for step in range(1, SHINGLE_WORDS):
        values = _mix(values + numbers[begins + step])
    return Shingles(values, edges)


def band_keys(shingles: Shingles) -> NDArray[np.uint64]:
    """(num_texts, 16): texts with one of these equal may be near. All 0 for texts without shingles."""
    filled = np.flatnonzero(np.diff(shingles.edges))
    keys = np.zeros((shingles.edges.size - 1, BANDS), dtype=np.uint64)
    if not filled.size:
        return keys
    starts = shingles.edges[filled]
    for band in range(BANDS):
        key = np.full(filled.size, band, dtype=np.uint64)
        for factor, summand in _ODD.T[band * _IN_BAND : (band + 1) * _IN_BAND]:
            key = _mix(key ^ np.minimum.reduceat(shingles.values * factor + summand, starts))
        keys[filled, band] = key
    return keys


def jaccard(one: Words, other: Words) -> float:
    """Shingles in common, of all that either has; both sorted, each shingle once."""
    common = np.intersect1d(one, other, assume_unique=True).size
    return common / max(1, one.size + other.size - common)


@lru_cache(maxsize=1 << 18)
def _number(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _mix(values: Words) -> Words:
    """A bijection that spreads small changes over all bits (splitmix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
