"""Which row ids have been kept already, in eight bytes an id."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


class SeenIds:
    """A set of ids that only grows, kept as sorted arrays of 64-bit hashes.

    Ten million ids take 80 MB. Two ids of ten million share a hash with a chance of 3 in a million; then the second
    one's row is rejected as a duplicate although it is none, and its reason names the id, so that it can be looked up.
    The hash is Python's own for texts: keyed anew in each process, so that no table can aim at it.
    """

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[np.int64]] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, ids: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Add the ids in order; which of them were new."""
        hashes = np.fromiter(map(hash, ids), dtype=np.int64)
        is_new = np.zeros(len(hashes), dtype=bool)
        own, first = np.unique(hashes, return_index=True)
        unseen = ~self._holds(own)
        is_new[first[unseen]] = True
        self._keep(own[unseen])
        return is_new

    def _holds(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        held = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            held |= run[at] == hashes
        return held

    def _keep(self, fresh: npt.NDArray[np.int64]) -> None:
        """Runs are merged like the carries of a binary counter, so there are few and each id moves seldom."""
        if len(fresh):
            self._runs.append(fresh)
        while len(self._runs) > 1 and len(self._runs[-2]) <= len(self._runs[-1]):
            merged = np.concatenate([self._runs.pop(), self._runs.pop()])
            merged.sort(kind="stable")
            self._runs.append(merged)
