"""Whether some of the rows are answered otherwise than the rest of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from nameplate.statistics.bootstrap import group_sums

Floats = npt.NDArray[np.float64]


def slice_p(right: Sequence[bool], inside: Sequence[bool], *, groups: Sequence[Hashable] | None = None) -> float:
    """Two-sided p that the rows of a slice are right as often as all other rows.

    Args:
        right: whether each row was answered right.
        inside: whether each row belongs to the slice.
        groups: rows that stand or fall together, such as the images of one product; none: every row is its own.

    Fisher's exact test, which takes every row for independent, or the score test with the variance that the sums of
    groups have (Boos 1992, The American Statistician 46:327), whichever is less sure. 1 where there is nothing to
    compare.
    """
    assert len(right) == len(inside), f"{len(right)} answers, {len(inside)} rows"
    was, within = np.asarray(right, dtype=float), np.asarray(inside, dtype=float)
    if not len(was) or was.min() == was.max() or within.min() == within.max():
        return 1.0
    return max(_fisher(was, within), _by_groups(was, within, groups if groups is not None else range(len(was))))


def _fisher(right: Floats, inside: Floats) -> float:
    from scipy.stats import fisher_exact

    table = [[int(((right == was) & (inside == within)).sum()) for was in (1, 0)] for within in (1, 0)]
    return float(fisher_exact(table).pvalue)


def _by_groups(right: Floats, inside: Floats, groups: Sequence[Hashable]) -> float:
    sums = group_sums((right - right.mean()) * (inside - inside.mean()), groups)[:, 0]
    spread = math.sqrt(float((sums**2).sum()))
    # Sums that all vanish say nothing in either direction.
    return math.erfc(abs(float(sums.sum())) / spread / math.sqrt(2)) if spread > 0 else 1.0
