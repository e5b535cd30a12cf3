"""A slice against the rest: exact where rows are independent, and never surer than products allow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nameplate.statistics import slice_p


def rows(inside_right: int, inside: int, outside_right: int, outside: int) -> tuple[list[bool], list[bool]]:
    right = [place < inside_right for place in range(inside)] + [place < outside_right for place in range(outside)]
    return right, [True] * inside + [False] * outside


def score_test(right: list[bool], inside: list[bool]) -> float:
    x, y = np.asarray(right, dtype=float), np.asarray(inside, dtype=float)
    sums = (x - x.mean()) * (y - y.mean())
    return float(2 * stats.norm.sf(abs(sums.sum()) / np.sqrt((sums**2).sum())))


def test_fishers_tea_tasting() -> None:
    # Fisher 1935, The Design of Experiments, chapter II: 3 of 4 and 1 of 4, two-sided 34 of 70.
    assert slice_p(*rows(3, 4, 1, 4)) == pytest.approx(34 / 70)


@pytest.mark.parametrize("counts", [(3, 30, 200, 300), (10, 12, 30, 90), (0, 9, 400, 800), (45, 50, 40, 50)])
def test_never_surer_than_fishers_exact_test_nor_than_the_score_test(counts: tuple[int, int, int, int]) -> None:
    right, inside = rows(*counts)
    a, n, b, m = counts
    fisher = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
    assert slice_p(right, inside) == pytest.approx(max(fisher, score_test(right, inside)))


def test_repeating_every_row_inside_its_product_makes_nothing_surer() -> None:
    right, inside = rows(14, 20, 20, 60)
    products = [place for place in range(80) for _ in range(6)]
    again, within = [right[place] for place in products], [inside[place] for place in products]
    assert slice_p(again, within, groups=products) == pytest.approx(score_test(right, inside))
    assert slice_p(again, within) < score_test(right, inside) / 1000


def test_the_level_holds_where_images_of_a_product_agree() -> None:
    draw = np.random.default_rng(0)
    wrongly = {"products": 0, "rows": 0}
    for _ in range(400):
        products = np.repeat(np.arange(60), 4)
        right, inside = (draw.random(60) < 0.5)[products].tolist(), (draw.random(60) < 0.3)[products].tolist()
        wrongly["products"] += slice_p(right, inside, groups=products.tolist()) < 0.05
        wrongly["rows"] += slice_p(right, inside) < 0.05
    # 20 of 400 are allowed; three standard deviations above that are 33.
    assert wrongly["products"] <= 33
    assert wrongly["rows"] > 60


@pytest.mark.parametrize(
    ("right", "inside"),
    [
        ([], []),
        ([True], [True]),
        ([True, True, True], [True, False, False]),
        ([True, False, True], [True, True, True]),
        ([True, False, True], [False, False, False]),
    ],
)
def test_where_nothing_can_differ_nothing_does(right: list[bool], inside: list[bool]) -> None:
    assert slice_p(right, inside) == 1.0
