"""Holm's adjustment against its definition, and the best of several against Harter's table."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.statistics import holm, selection_optimism


def test_holm_adjusts_as_r_does() -> None:
    """`p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")`."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01, 0.9]) == pytest.approx([0.08, 0.03, 0.9])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferronis(p_values: list[float]) -> None:
    """A hypothesis falls when every set of hypotheses with it falls: the definition that Holm's steps shorten."""
    places = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(places, size)]
    for place, adjusted in zip(places, holm(p_values), strict=True):
        worst = max(min(1.0, len(each) * min(p_values[i] for i in each)) for each in sets if place in each)
        assert adjusted == pytest.approx(worst)


@pytest.mark.parametrize(("k", "mean"), [(2, 0.56419), (3, 0.84628), (4, 1.02938), (5, 1.16296), (10, 1.53875)])
def test_the_best_of_several_is_harters(k: int, mean: float) -> None:
    """Harter 1961 (Biometrika 48:151), table 1: the expected largest of k standard normal deviates."""
    assert selection_optimism(0.5, 1, num_candidates=k) / 0.5 == pytest.approx(mean, abs=1e-5)


def test_one_candidate_flatters_nobody_and_alike_ones_flatter_less() -> None:
    assert selection_optimism(0.37, 600, num_candidates=1) == 0.0
    apart, alike = (selection_optimism(0.37, 600, num_candidates=4, correlation=each) for each in (0.0, 0.6))
    assert alike == pytest.approx(apart * 0.4**0.5)
