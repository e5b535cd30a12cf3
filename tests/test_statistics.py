"""Statistics against published values and against scipy's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nameplate.statistics import (
    mcnemar_exact,
    median_interval,
    paired_bootstrap,
    paired_difference,
    share_difference_bootstrap,
    wilson,
)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_has_newcombes_published_bounds(count: int, n: int, low: float, high: float) -> None:
    share = wilson(count, n)
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)
    assert share.value == count / n


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.data())
def test_wilson_equals_scipy(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    oracle = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    share = wilson(count, n)
    assert share.low == pytest.approx(oracle.low, abs=1e-12)
    assert share.high == pytest.approx(oracle.high, abs=1e-12)
    assert share.low <= share.value <= share.high


def test_nothing_counted_is_nothing_known() -> None:
    share = wilson(0, 0)
    assert (share.value, share.low, share.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("fixed", "regressed", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (0, 6, 2 / 64), (9, 1, 22 / 1024), (3, 1, 10 / 16)],
)
def test_mcnemar_is_the_sum_of_both_binomial_tails(fixed: int, regressed: int, p_value: float) -> None:
    assert mcnemar_exact(fixed, regressed) == pytest.approx(p_value, rel=1e-12)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_does_not_care_which_model_came_first(fixed: int, regressed: int) -> None:
    p_value = mcnemar_exact(fixed, regressed)
    assert p_value == mcnemar_exact(regressed, fixed)
    assert 0 < p_value <= 1


def test_bootstrap_agrees_with_scipys_on_the_same_pairs() -> None:
    before = [place % 5 == 0 for place in range(200)]
    after = [place % 3 == 0 for place in range(200)]
    change = [float(new) - float(old) for old, new in zip(before, after, strict=True)]
    oracle = stats.bootstrap(
        (change,), lambda values, axis: values.mean(axis=axis), method="percentile", n_resamples=4000, rng=1
    ).confidence_interval
    interval = paired_bootstrap(before, after, seed=0)
    # Half a percentage point is one image of 200; measured 0.
    assert interval.low == pytest.approx(oracle.low, abs=0.005)
    assert interval.high == pytest.approx(oracle.high, abs=0.005)
    assert paired_bootstrap(before, after, seed=0) == interval
    mirrored = paired_bootstrap(after, before, seed=0)
    assert mirrored.low == pytest.approx(-interval.high, abs=0.005)


def test_bootstrap_uses_the_pairs() -> None:
    """Models that differ on one row of 100 differ by little, although each alone could be off by ten points."""
    before = [place < 50 for place in range(100)]
    after = [place < 51 for place in range(100)]
    interval = paired_bootstrap(before, after, seed=0)
    assert (interval.low, interval.high) == (0.0, pytest.approx(0.03, abs=0.011))


def test_bootstrap_of_no_change_is_a_point() -> None:
    assert paired_bootstrap([True, False], [True, False], seed=0) == (0.0, 0.0)
    assert paired_bootstrap([], [], seed=0) == (0.0, 0.0)


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


def test_a_paired_difference_is_newcombes() -> None:
    """His example 36, 12, 2, 0 by method 10 (Statistics in Medicine 17:2635, 1998)."""
    assert paired_difference(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=1e-4)
    mirrored = paired_difference(36, 2, 12, 0)
    assert mirrored == pytest.approx((-0.3404, -0.0569), abs=1e-4)


def test_a_paired_difference_never_shrinks_to_a_point() -> None:
    assert paired_difference(0, 50, 0, 0) == pytest.approx(
        (1 - math.hypot(1 - wilson(50, 50).low, wilson(0, 50).high), 1.0)
    )
    low, high = paired_difference(0, 0, 0, 50)
    assert low < 0 < high
    assert paired_difference(0, 0, 0, 0) == (-1.0, 1.0)


def test_rows_are_resampled_with_all_that_they_have() -> None:
    """A hundred claims in one row are one throw of the coin, not a hundred."""
    clustered = share_difference_bootstrap([(0, 1)] * 20, [(100, 100)] * 10 + [(0, 100)] * 10, seed=0)
    single = share_difference_bootstrap([(0, 100)] * 20, [(50, 100)] * 20, seed=0)
    assert clustered.high - clustered.low > 0.3
    assert single == pytest.approx((0.5, 0.5))
    assert share_difference_bootstrap([], [], seed=0) == (-1.0, 1.0)
    assert share_difference_bootstrap([(0, 0)] * 3, [(1, 1)] * 3, seed=0) == (-1.0, 1.0)
