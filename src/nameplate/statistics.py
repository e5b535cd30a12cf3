"""The few statistics behind every claim: one proportion, two paired models, and the interval of their difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Share:
    """A proportion with its interval."""

    count: int
    n: int
    value: float
    low: float
    high: float


class Interval(NamedTuple):
    """A lower and an upper bound."""

    low: float
    high: float


def wilson(count: int, n: int, *, confidence: float = CONFIDENCE) -> Share:
    """Score interval of `count` out of `n` (Wilson 1927); with n = 0 nothing is known: value 0, interval 0 to 1."""
    assert 0 <= count <= n, f"{count} of {n}"
    if n == 0:
        return Share(0, 0, 0.0, 0.0, 1.0)
    z = float(ndtri(0.5 + confidence / 2))
    share = count / n
    denominator = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / denominator
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / denominator
    return Share(
        count, n, share, 0.0 if count == 0 else max(0.0, centre - half), 1.0 if count == n else min(1.0, centre + half)
    )


def mcnemar_exact(fixed: int, regressed: int) -> float:
    """Two-sided p that so lopsided a change is chance: a fair coin thrown once per row that changed (McNemar 1947)."""
    changed = fixed + regressed
    if changed == 0:
        return 1.0
    # Half a second of imports, which commands that compare nothing must not wait for.
    from scipy import stats

    return float(stats.binomtest(min(fixed, regressed), changed, 0.5).pvalue)


def paired_bootstrap(
    before: Sequence[bool],
    after: Sequence[bool],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Percentile interval of mean(after) - mean(before), resampling rows with both their answers.

    A row changes by -1, 0 or +1, so drawing n rows is one multinomial draw; the distribution is the same as of drawing
    row by row. Where no row changed the interval is a point, which says nothing about rows that were not seen.
    """
    assert len(before) == len(after), f"{len(before)} rows before, {len(after)} after"
    num_rows = len(before)
    if num_rows == 0:
        return Interval(0.0, 0.0)
    change = np.asarray(after, dtype=int) - np.asarray(before, dtype=int)
    shares = [float(np.mean(change == value)) for value in (-1, 0, 1)]
    draws = np.random.default_rng(seed).multinomial(num_rows, shares, size=resamples)
    differences = (draws[:, 2] - draws[:, 0]) / num_rows
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return Interval(float(low), float(high))


def median_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a median by the sign test: two order statistics, exact for any distribution.

    Few values (under six at 95 %) cannot bound a median: the interval is then the whole line.
    """
    from scipy import stats

    ordered = sorted(values)
    # The chance that so many of n values or fewer lie below the median is that of so few heads.
    rank = int(stats.binom.ppf((1 - confidence) / 2, len(ordered), 0.5)) if ordered else 0
    if rank == 0:
        return Interval(-math.inf, math.inf)
    return Interval(float(ordered[rank - 1]), float(ordered[-rank]))


def share_difference_bootstrap(
    before: Sequence[tuple[int, int]],
    after: Sequence[tuple[int, int]],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Percentile interval of share(after) - share(before), where a row has several things that are counted.

    Args:
        before: (count, n) of every row; the share is the sum of counts over the sum of n.
        after: likewise, of the same rows in the same order.
        seed: of the bootstrap.
        confidence: of the interval.
        resamples: how many.

    Rows are drawn with all that they have, since what is counted in one row is not independent.
    """
    assert len(before) == len(after), f"{len(before)} rows before, {len(after)} after"
    if not before:
        return Interval(-1.0, 1.0)
    rows = np.hstack([np.asarray(before, dtype=float), np.asarray(after, dtype=float)])
    weights = np.random.default_rng(seed).multinomial(len(rows), [1 / len(rows)] * len(rows), size=resamples)
    sums = weights @ rows
    drawn = sums[(sums[:, 1] > 0) & (sums[:, 3] > 0)]
    if not len(drawn):
        return Interval(-1.0, 1.0)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn[:, 2] / drawn[:, 3] - drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return Interval(float(low), float(high))


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
