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
