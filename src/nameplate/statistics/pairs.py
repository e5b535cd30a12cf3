"""Two models on the same rows: exact tests, and the interval of the difference without resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nameplate.statistics.proportions import CONFIDENCE, Interval, wilson


def mcnemar_exact(fixed: int, regressed: int) -> float:
    """Two-sided p that so lopsided a change is chance: a fair coin thrown once per row that changed (McNemar 1947)."""
    changed = fixed + regressed
    if changed == 0:
        return 1.0
    # Half a second of imports, which commands that compare nothing must not wait for.
    from scipy import stats

    return float(stats.binomtest(min(fixed, regressed), changed, 0.5).pvalue)


def sign_flip_exact(changes: Sequence[int]) -> float:
    """Two-sided p that so large a sum is chance, a fair coin deciding the sign of each change as a whole (Fisher 1935).

    Args:
        changes: of each group of rows, how many became right less how many became wrong.

    Rows of one group (several photographs of one product) are not thrown for one by one, so the test stays honest where
    `mcnemar_exact` counts them as independent; where every group has one row, the two are the same.
    """
    sizes = np.abs(np.asarray([change for change in changes if change], dtype=int))
    total = int(sizes.sum())
    # Chance of each sum from -total to total; every step adds two nonnegative numbers, so small tails stay exact.
    chances = np.zeros(2 * total + 1)
    chances[total] = 1.0
    for size in sizes:
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    reach = np.abs(np.arange(-total, total + 1)) >= abs(sum(changes))
    return min(1.0, float(chances[reach].sum()))


def paired_difference(
    both: int, only_after: int, only_before: int, neither: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of share(after) - share(before) over the same rows, from how many are right in which.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17:2635): the two Wilson intervals, put together with the
    correlation of the pairs. Unlike a bootstrap it does not shrink to a point where every row changed, or none.
    """
    n = both + only_after + only_before + neither
    if n == 0:
        return Interval(-1.0, 1.0)
    before, after = (wilson(both + alone, n, confidence=confidence) for alone in (only_before, only_after))
    margins = math.prod((after.count, n - after.count, before.count, n - before.count))
    cross = both * neither - only_after * only_before
    corrected = cross if cross <= 0 else max(0.0, cross - n / 2)
    correlation = corrected / math.sqrt(margins) if margins else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(one * one - 2 * correlation * one * other + other * other)

    difference = (only_after - only_before) / n
    return Interval(
        max(-1.0, difference - reach(after.value - after.low, before.high - before.value)),
        min(1.0, difference + reach(after.high - after.value, before.value - before.low)),
    )
