"""The one-standard-error rule, and what may be called overfitting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nameplate.statistics import difference_error, drops, one_standard_error


def answers(right: int, n: int = 600) -> list[bool]:
    """The first rows right."""
    return [place < right for place in range(n)]


def test_the_error_of_a_difference_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random(200) < 0.4, rng.random(200) < 0.5
    change = after.astype(float) - before.astype(float)
    assert difference_error(before, after) == pytest.approx(stats.sem(change))
    groups = np.arange(200) // 4
    of_groups = change.reshape(50, 4).mean(axis=1)
    assert difference_error(before, after, groups=groups) == pytest.approx(stats.sem(of_groups))
    assert difference_error([True], [False]) == math.inf


def test_the_earliest_that_is_as_good_is_taken() -> None:
    """One row of 600 behind, with a standard error of one row: the earlier checkpoint costs less and is no worse."""
    choice = one_standard_error([answers(100), answers(221), answers(222), answers(216)])
    assert (choice.chosen, choice.best) == (1, 2)
    assert choice.behind == pytest.approx(1 / 600) and choice.standard_error == pytest.approx(1 / 600, rel=0.01)


def test_one_that_is_clearly_worse_is_not_taken() -> None:
    choice = one_standard_error([answers(170), answers(205), answers(222)])
    assert (choice.chosen, choice.best, choice.behind, choice.standard_error) == (2, 2, 0.0, 0.0)


def test_later_ones_are_never_taken_for_the_best_and_equals_go_to_the_earliest() -> None:
    assert one_standard_error([answers(10), answers(10)]).chosen == 0
    assert one_standard_error([answers(0)]).chosen == 0
    swapped = one_standard_error([answers(222), answers(221)])
    assert (swapped.chosen, swapped.best) == (0, 0)


def test_groups_make_the_rule_more_lenient() -> None:
    """Ten images of one product are one throw: behind by them is behind by one standard error."""
    early, late = answers(210), answers(220)
    groups = [place // 10 for place in range(600)]
    assert one_standard_error([early, late]).chosen == 1
    assert one_standard_error([early, late], groups=groups).chosen == 0


def test_six_images_fewer_is_no_overfitting() -> None:
    """37 % and then 36 % of 600, answers of 96 rows changed: the experiment's own case."""
    best = answers(222)
    last = [*[True] * 171, *[False] * 51, *[True] * 45, *[False] * 333]
    (drop,) = drops([answers(100), best, last])
    assert (drop.place, drop.is_real) == (2, False)
    assert drop.difference == pytest.approx(-0.01) and drop.p_value > 0.5


def test_a_real_drop_is_overfitting_and_holm_counts_the_looks() -> None:
    best, worse = answers(222), answers(190)
    assert [drop.is_real for drop in drops([best, worse])] == [True]
    slightly = answers(215)
    alone = drops([best, slightly])[0].p_value
    among = drops([best, slightly, slightly, slightly, slightly])
    assert alone == pytest.approx(2 / 2**7) and [drop.is_real for drop in among] == [False] * 4
    assert among[0].p_value == pytest.approx(4 * alone)


def test_nothing_after_the_best_is_nothing_to_say() -> None:
    assert drops([answers(3), answers(9)]) == []
