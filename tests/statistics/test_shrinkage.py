"""Shrunk accuracies, against the rat tumours of the textbook."""

from __future__ import annotations

import pytest

from nameplate.statistics import fit_prior, shrink
from nameplate.statistics.shrinkage import _grid

RATS = [
    *[(0, 20)] * 7, *[(0, 19)] * 4, *[(0, 18)] * 2, (0, 17), *[(1, 20)] * 4, *[(1, 19)] * 2, *[(1, 18)] * 2, (2, 25),
    (2, 24), (2, 23), *[(2, 20)] * 6, (1, 10), (5, 49), (2, 19), (5, 46), (3, 27), (2, 17), (7, 49), (7, 47),
    *[(3, 20)] * 2, (2, 13), (9, 48), (10, 50), *[(4, 20)] * 7, (10, 48), *[(4, 19)] * 3, (5, 22), (11, 46), (12, 49),
    *[(5, 20)] * 2, (6, 23), (5, 19), (6, 22), *[(6, 20)] * 3, (16, 52), (15, 46), (15, 47), (9, 24),
]  # fmt: skip
"""Tarone 1982, as table 5.1 of Gelman et al., Bayesian Data Analysis, has it: (tumours, rats) of 70 experiments."""


def test_the_likeliest_prior_is_the_published_one() -> None:
    """Maximum likelihood for these data by the R package BayesGOF (its vignette): 2.304768 and 14.079707."""
    assert fit_prior(RATS) == pytest.approx((2.304768, 14.079707), rel=2e-4)


def test_the_believed_priors_are_the_textbooks() -> None:
    """With the 71st experiment, 4 of 14, the posterior means of the prior are 2.4 and 14.3 (section 5.3)."""
    grid = _grid([*RATS, (4, 14)])
    assert (grid.weight @ grid.alpha, grid.weight @ grid.beta) == pytest.approx((2.4, 14.3), abs=0.05)


def test_names_with_few_rows_are_drawn_further() -> None:
    few, many = shrink([*RATS, (1, 2), (50, 100)])[-2:]
    overall = sum(count for count, _ in RATS) / sum(n for _, n in RATS)
    assert overall < few.value < 0.25 < 0.40 < many.value < 0.5
    assert few.low < few.value < few.high and few.high - few.low > many.high - many.low
    assert (few.count, few.n) == (1, 2)


def test_names_that_differ_by_chance_alone_are_drawn_together() -> None:
    values = [each.value for each in shrink([(3, 10), (4, 10), (2, 10), (3, 10), (3, 10), (4, 10), (2, 10)])]
    assert max(values) - min(values) < 0.08


@pytest.mark.parametrize("counted", [[], [(3, 4)], [(5, 5), (9, 9)], [(0, 5), (0, 1)], [(0, 0), (2, 4)]])
def test_where_there_is_nothing_to_learn_from_it_stays_sober(counted: list[tuple[int, int]]) -> None:
    for (count, n), each in zip(counted, shrink(counted), strict=True):
        assert 0 <= each.low < each.value < each.high <= 1
        assert (each.count, each.n) == (count, n)
