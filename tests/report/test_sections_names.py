"""Names: each estimate is drawn towards what all names show, the counted share stands beside it."""

from __future__ import annotations

import random

import pytest

from nameplate.report.names import ALWAYS, SHOWN, build_names
from nameplate.statistics import fit_prior, shrink
from nameplate.summary import NameScore


def name(number: int, *, test: int, after: int, before: int = 0, train: int = 20) -> NameScore:
    return NameScore(name=f"n{number:03}", train=train, test=test, before=before, after=after)


def test_estimates_are_those_of_the_statistics_and_counts_stay_as_they_are() -> None:
    scores = [name(0, test=40, after=36), name(1, test=8, after=1), name(2, test=20, after=5), name(3, test=2, after=0)]
    found = build_names(scores)
    rows = [*found.first, *found.rest]
    for row, shrunk in zip(rows, shrink([(36, 40), (5, 20), (1, 8), (0, 2)]), strict=True):
        assert (row.shrunk, row.low, row.high) == (shrunk.value, shrunk.low, shrunk.high)
    assert [(row.name, row.right, row.test, row.after) for row in rows] == [
        ("n000", 36, 40, 0.9), ("n002", 5, 20, 0.25), ("n001", 1, 8, 0.125), ("n003", 0, 2, 0.0),
    ]  # fmt: skip


def test_a_name_with_few_images_moves_more_than_one_with_many() -> None:
    scores = [
        name(0, test=100, after=90),
        name(1, test=3, after=3),
        name(2, test=60, after=6),
        name(3, test=30, after=15),
    ]
    rows = {row.name: row for row in [*build_names(scores).first, *build_names(scores).rest]}
    assert abs(rows["n001"].shrunk - rows["n001"].after) > 3 * abs(rows["n000"].shrunk - rows["n000"].after)
    assert rows["n001"].high - rows["n001"].low > rows["n000"].high - rows["n000"].low


def test_most_test_images_come_first_and_few_are_folded() -> None:
    rng = random.Random(1)
    scores = [name(place, test=rng.choice([1, 2, 4, 5, 9, 30]), after=0) for place in range(80)]
    found = build_names([*scores, name(99, test=0, after=0)])
    rows = [*found.first, *found.rest]
    assert [row.test for row in rows] == sorted((row.test for row in rows), reverse=True)
    assert min(row.test for row in found.first) >= 5 > max(row.test for row in found.rest)
    assert found.num_names == found.num_never == 80


@pytest.mark.parametrize(("num", "test", "shown"), [(80, 10, SHOWN), (30, 2, ALWAYS), (4, 1, 4)])
def test_some_names_are_always_shown_and_never_too_many(num: int, test: int, shown: int) -> None:
    assert len(build_names([name(place, test=test, after=1) for place in range(num)]).first) == shown


def test_better_worse_and_never_are_counted() -> None:
    scores = [
        name(0, test=5, before=1, after=2),
        name(1, test=5, before=2, after=1),
        name(2, test=5, before=2, after=0),
        name(3, test=5, before=3, after=3),
    ]
    found = build_names(scores)
    assert (found.num_better, found.num_worse, found.num_never) == (1, 2, 1)


def test_the_sentence_says_how_far_estimates_are_drawn() -> None:
    counted = [(9, 10), (1, 10), (8, 10), (2, 10), (5, 10)]
    found = build_names([name(place, test=n, after=right) for place, (right, n) in enumerate(counted)])
    assert f"as {round(fit_prior(counted).rows)} more test images" in found.shrinkage
    assert "average name (50.0\N{NO-BREAK SPACE}%)" in found.shrinkage
    alike = build_names([name(place, test=20, after=10) for place in range(8)])
    assert "differ hardly more than chance" in alike.shrinkage


@pytest.mark.parametrize(("right", "word"), [(0, "never"), (4, "always")])
def test_names_that_are_all_right_or_all_wrong_have_no_average_name(right: int, word: str) -> None:
    found = build_names([name(place, test=4, after=right) for place in range(3)])
    assert found.shrinkage.startswith(f"All names are {word} right")


def test_no_names_and_one_name_have_a_section() -> None:
    assert build_names([]).num_names == 0
    one = build_names([name(0, test=3, after=3)])
    assert len(one.first) == 1
    assert one.shrinkage == ""
