"""Resampling, against SciPy's and against formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nameplate.statistics import (
    cluster_bootstrap,
    design_effect,
    macro_bootstrap,
    macro_difference_bootstrap,
    paired_bootstrap,
    share_difference_bootstrap,
    wilson,
)


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


def test_rows_are_resampled_with_all_that_they_have() -> None:
    """A hundred claims in one row are one throw of the coin, not a hundred."""
    clustered = share_difference_bootstrap([(0, 1)] * 20, [(100, 100)] * 10 + [(0, 100)] * 10, seed=0)
    single = share_difference_bootstrap([(0, 100)] * 20, [(50, 100)] * 20, seed=0)
    assert clustered.high - clustered.low > 0.3
    assert single == pytest.approx((0.5, 0.5))
    assert share_difference_bootstrap([], [], seed=0) == (-1.0, 1.0)
    assert share_difference_bootstrap([(0, 0)] * 3, [(1, 1)] * 3, seed=0) == (-1.0, 1.0)


def answers(num_groups: int, seed: int) -> tuple[list[bool], list[bool], list[int]]:
    """Products of one to four images, whose images are all answered alike."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(num_groups), rng.integers(1, 5, size=num_groups))
    before, after = (rng.random(num_groups) < share for share in (0.4, 0.55))
    return before[groups].tolist(), after[groups].tolist(), groups.tolist()


def test_groups_are_resampled_as_scipy_does() -> None:
    before, after, groups = answers(300, 0)
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    nets, sizes = np.bincount(groups, change), np.bincount(groups).astype(float)
    oracle = stats.bootstrap(
        (nets, sizes),
        lambda net, size, axis: net.sum(axis=axis) / size.sum(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=9000,
        rng=1,
    ).confidence_interval
    interval = cluster_bootstrap(before, after, groups=groups, seed=0)
    # Both draw by chance: bounds of 10,000 draws are good to about a fiftieth of the width, which is 0.18.
    assert interval == pytest.approx((oracle.low, oracle.high), abs=0.006)
    alone = paired_bootstrap(before, after, seed=0)
    assert interval.high - interval.low > 1.5 * (alone.high - alone.low)


def test_a_single_group_bounds_nothing() -> None:
    assert cluster_bootstrap([True, False], [False, True], groups=["a", "a"], seed=0) == (-1.0, 1.0)


def test_the_design_effect_of_copies_is_their_number() -> None:
    """Kish: 1 + (size - 1) times the correlation within, which is 1 for copies."""
    before, after, _ = answers(400, 1)
    copied = [[value for value in each for _ in range(3)] for each in (before, after)]
    groups = [place for place in range(len(before)) for _ in range(3)]
    assert design_effect(*copied, groups=groups) == pytest.approx(3, rel=0.01)
    assert design_effect(before, after, groups=range(len(before))) == 1.0
    assert design_effect([True] * 4, [True] * 4, groups=[0, 0, 1, 1]) == 1.0


def test_the_macro_interval_has_the_width_of_the_formula() -> None:
    """Names of 40 rows: the variance of a mean of means is the sum of p (1 - p) / (n - 1), over names squared."""
    rng = np.random.default_rng(3)
    names = np.repeat(np.arange(25), 40).tolist()
    right = rng.random(1000) < np.repeat(rng.uniform(0.2, 0.9, size=25), 40)
    share = np.asarray([right[40 * name : 40 * name + 40].mean() for name in range(25)])
    half = 1.96 * math.sqrt((share * (1 - share) / 39).sum()) / 25
    interval = macro_bootstrap(right.tolist(), names, seed=0)
    assert interval == pytest.approx((share.mean() - half, share.mean() + half), abs=0.003)


def test_rare_names_count_as_much_as_frequent_ones() -> None:
    names = ["rare"] * 20 + ["frequent"] * 400
    right = [False] * 10 + [True] * 10 + [True] * 400
    interval = macro_bootstrap(right, names, seed=0)
    assert interval.low < 0.75 < interval.high
    # Half of what 20 rows say of one name: 0.22.
    assert interval.high - interval.low == pytest.approx(0.22, abs=0.03)


def test_where_nothing_varies_the_macro_interval_is_wilsons() -> None:
    right, names = [True] * 60, [place % 3 for place in range(60)]
    # Of each name's 20 rows 19 count.
    assert macro_bootstrap(right, names, seed=0) == pytest.approx((wilson(57, 57).low, 1.0))
    low, high = macro_difference_bootstrap(right, right, names, seed=0)
    assert (low, high) == pytest.approx((wilson(60, 60).low - 1, 1 - wilson(60, 60).low))
    assert macro_bootstrap([], [], seed=0) == (0.0, 1.0)
    assert macro_difference_bootstrap([], [], [], seed=0) == (-1.0, 1.0)


def test_names_with_one_row_are_not_taken_for_certain() -> None:
    right = [place % 2 == 0 for place in range(30)]
    interval = macro_bootstrap(right, list(range(30)), seed=0)
    assert interval.low < 0.36 and interval.high > 0.64
