"""The interval of a median, against the binomial."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from nameplate.statistics import median_interval


@pytest.mark.parametrize("n", [6, 7, 20, 50, 51, 200])
def test_the_interval_of_a_median_is_as_sure_as_it_says_and_not_surer(n: int) -> None:
    """Against the binomial: the median is below the k-th smallest value with the chance of fewer than k heads."""
    interval = median_interval(list(range(1, n + 1)))
    rank = int(interval.low)
    assert interval.high == n + 1 - rank
    assert 1 - 2 * stats.binom.cdf(rank - 1, n, 0.5) >= 0.95
    assert 1 - 2 * stats.binom.cdf(rank, n, 0.5) < 0.95


def test_few_values_bound_no_median() -> None:
    for n in range(6):
        assert median_interval([1.0] * n) == (-math.inf, math.inf)
