"""Shares of a whole: the interval of one, the interval of the difference of two that were counted on different rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


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


def z_score(confidence: float) -> float:
    """Half-width of a two-sided interval of a normal distribution, in standard deviations."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson_bounds(share: float, n: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Score interval (Wilson 1927) of a share of `n` rows; `n` may be an effective number, and no whole one."""
    z = z_score(confidence)
    denominator = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / denominator
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / denominator
    low = 0.0 if share == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if share == 1 else min(1.0, centre + half))


def wilson(count: int, n: int, *, confidence: float = CONFIDENCE) -> Share:
    """Score interval of `count` out of `n` (Wilson 1927); with n = 0 nothing is known: value 0, interval 0 to 1."""
    assert 0 <= count <= n, f"{count} of {n}"
    if n == 0:
        return Share(0, 0, 0.0, 0.0, 1.0)
    low, high = wilson_bounds(count / n, n, confidence=confidence)
    return Share(count, n, count / n, low, high)


def unpaired_difference(before: tuple[int, int], after: tuple[int, int], *, confidence: float = CONFIDENCE) -> Interval:
    """Interval of share(after) - share(before), each (count, n), counted on different rows.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17:873): the two Wilson intervals put together. For the same rows
    it is too wide; `paired_difference` uses the pairs.
    """
    was, now = (wilson(*each, confidence=confidence) for each in (before, after))
    if not (was.n and now.n):
        return Interval(-1.0, 1.0)
    difference = now.value - was.value
    return Interval(
        difference - math.hypot(now.value - now.low, was.high - was.value),
        difference + math.hypot(now.high - now.value, was.value - was.low),
    )


def unpaired_p(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Two-sided p of the pooled z test that two shares, each (count, n), of different rows are one share."""
    (count_before, n_before), (count_after, n_after) = before, after
    pooled = (count_before + count_after) / max(1, n_before + n_after)
    if not (n_before and n_after) or pooled in (0, 1):
        return 1.0
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n_before + 1 / n_after))
    # Through erfc: a normal distribution function near 0 would be rounded away.
    return math.erfc(abs(count_after / n_after - count_before / n_before) / spread / math.sqrt(2))
