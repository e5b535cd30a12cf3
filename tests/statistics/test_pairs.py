"""Exact tests and intervals of pairs, against published values, against SciPy, and against counting everything."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nameplate.statistics import mcnemar_exact, paired_difference, sign_flip_exact, wilson


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


@given(st.integers(0, 60), st.integers(0, 60))
def test_groups_of_one_row_make_it_mcnemars(fixed: int, regressed: int) -> None:
    changes = [1] * fixed + [0, 0] + [-1] * regressed
    assert sign_flip_exact(changes) == pytest.approx(mcnemar_exact(fixed, regressed), rel=1e-12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-4, 4), max_size=10))
def test_signs_are_flipped_in_every_way(changes: list[int]) -> None:
    sums = [sum(s * c for s, c in zip(signs, changes, strict=True)) for signs in product((-1, 1), repeat=len(changes))]
    assert sign_flip_exact(changes) == pytest.approx(np.mean([abs(each) >= abs(sum(changes)) for each in sums]))


def test_flipping_signs_agrees_with_scipy() -> None:
    changes = [3, 1, -1, 2, 0, 1, -2, 4, 1, 1]
    oracle = stats.permutation_test(
        (np.asarray(changes, dtype=float),), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_exact(changes) == pytest.approx(oracle.pvalue, rel=1e-12)


def test_images_of_one_product_are_no_independent_witnesses() -> None:
    """Three products with ten images each: ten to the thirty-first against one of four."""
    assert mcnemar_exact(30, 0) < 1e-8
    assert sign_flip_exact([10, 10, 10]) == 0.25


def test_tiny_tails_stay_exact() -> None:
    assert sign_flip_exact([1] * 345) == pytest.approx(2 * 0.5**345, rel=1e-9)


def test_a_paired_difference_is_newcombes() -> None:
    """His example 36, 12, 2, 0 by method 10 (Statistics in Medicine 17:2635, 1998)."""
    assert paired_difference(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=1e-4)
    mirrored = paired_difference(36, 2, 12, 0)
    assert mirrored == pytest.approx((-0.3404, -0.0569), abs=1e-4)


def test_a_weak_correlation_of_pairs_is_corrected_for_continuity() -> None:
    """Airway data, 1, 1, 7, 12, of Fagerland et al. 2014 (Statistics in Medicine 33:2850): -0.507 to -0.026."""
    assert paired_difference(1, 1, 7, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_a_paired_difference_never_shrinks_to_a_point() -> None:
    assert paired_difference(0, 50, 0, 0) == pytest.approx(
        (1 - math.hypot(1 - wilson(50, 50).low, wilson(0, 50).high), 1.0)
    )
    low, high = paired_difference(0, 0, 0, 50)
    assert low < 0 < high
    assert paired_difference(0, 0, 0, 0) == (-1.0, 1.0)
