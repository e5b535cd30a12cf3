"""How large a difference a test can show, and how many rows it takes: before anything is trained.

Two designs: paired, both models on the same rows, tested by exact McNemar; unpaired, on different rows. What decides a
paired test is the share of rows that only one of the two gets right; it must be assumed (a tenth to a third is usual
between checkpoints of one run) and is shown with every result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final

import numpy as np

from nameplate.statistics.proportions import z_score

POWER: Final = 0.8
ALPHA: Final = 0.05
MOST_ROWS: Final = 10_000_000


def paired_power(n: int, difference: float, *, changed: float, alpha: float = ALPHA) -> float:
    """Chance that exact McNemar shows a difference of two models on the same rows.

    Args:
        n: rows.
        difference: share(after) - share(before), as a share.
        changed: share of rows that only one of the two gets right; at least the difference.
        alpha: two-sided level of the test.

    Exact: over every number of changed rows, and of fixed ones among them (Schork and Williams 1980).
    """
    assert abs(difference) <= changed <= 1, f"difference {difference}, changed {changed}"
    if n == 0 or changed == 0:
        return 0.0
    from scipy.stats import binom

    few, many = int(binom.ppf(1e-12, n, changed)), int(binom.ppf(1 - 1e-12, n, changed))
    rows = np.arange(few, many + 1)
    # The largest number of regressed (or fixed) rows that is still significant; -1: none is.
    limit = binom.ppf(alpha / 2, rows, 0.5)
    limit = np.where(binom.cdf(limit, rows, 0.5) <= alpha / 2, limit, limit - 1)
    better = (changed + abs(difference)) / (2 * changed)
    shown = binom.cdf(limit, rows, 1 - better) + binom.cdf(limit, rows, better)
    return float((binom.pmf(rows, n, changed) * shown).sum())


def paired_detectable(n: int, *, changed: float, power: float = POWER, alpha: float = ALPHA) -> float | None:
    """The smallest difference that exact McNemar shows with this chance; none: not even if all changes go one way."""
    return _root(lambda difference: paired_power(n, difference, changed=changed, alpha=alpha) - power, changed)


def paired_sample_size(difference: float, *, changed: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Rows by which exact McNemar shows a difference with this chance; starts from Connor 1987 (Biometrics 43:207)."""
    assert 0 < difference <= changed <= 1, f"difference {difference}, changed {changed}"
    return _smallest(
        lambda n: paired_power(n, difference, changed=changed, alpha=alpha) >= power,
        connor_sample_size(difference, changed=changed, power=power, alpha=alpha),
    )


def connor_sample_size(difference: float, *, changed: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Rows for a paired difference by the usual formula (Connor 1987); a few too few for the exact test."""
    level, strength = z_score(1 - alpha), NormalDist().inv_cdf(power)
    spread = level * math.sqrt(changed) + strength * math.sqrt(changed - difference**2)
    return math.ceil((spread / difference) ** 2)


def unpaired_power(n: int, before: float, after: float, *, alpha: float = ALPHA) -> float:
    """Chance that the pooled z test shows that two shares differ, each counted on its own `n` rows (Fleiss 1981)."""
    pooled = (before + after) / 2
    apart = abs(after - before) * math.sqrt(n) - z_score(1 - alpha) * math.sqrt(2 * pooled * (1 - pooled))
    spread = math.sqrt(before * (1 - before) + after * (1 - after))
    return NormalDist().cdf(apart / spread) if spread else float(apart > 0)


def unpaired_detectable(n: int, before: float, *, power: float = POWER, alpha: float = ALPHA) -> float | None:
    """The smallest gain over a share that different test sets of `n` rows each show with this chance; none: no gain."""
    return _root(lambda gain: unpaired_power(n, before, before + gain, alpha=alpha) - power, 1 - before)


def unpaired_sample_size(before: float, after: float, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """Rows of each of two test sets that show two shares to differ with this chance; not rounded."""
    pooled = (before + after) / 2
    level = z_score(1 - alpha) * math.sqrt(2 * pooled * (1 - pooled))
    strength = NormalDist().inv_cdf(power) * math.sqrt(before * (1 - before) + after * (1 - after))
    return ((level + strength) / (after - before)) ** 2


def images_for_interval(half_width: float, *, share: float = 0.5, confidence: float = 0.95) -> int:
    """Rows by which one share is known within so much either way (Cochran 1977, Sampling Techniques, 4.4)."""
    return math.ceil(share * (1 - share) * (z_score(confidence) / half_width) ** 2)


def fewest_changed(*, alpha: float = ALPHA) -> int:
    """So many rows must change, all in one direction, before exact McNemar can show anything."""
    return math.ceil(1 - math.log2(alpha))


def _root(excess: Callable[[float], float], most: float) -> float | None:
    """Where a growing function passes zero between 0 and `most`."""
    if most <= 0 or excess(most) < 0:
        return None
    low, high = 0.0, most
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def _smallest(enough: Callable[[int], bool], guess: int) -> int:
    """The smallest number that is enough. Exact power dips by a hair as rows are added; it is read as if it did not."""
    high = max(1, guess)
    while not enough(high) and high < MOST_ROWS:
        high += max(1, high // 8)
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
