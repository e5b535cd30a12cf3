"""Which checkpoint scoring takes, and how it says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nameplate.errors import ModelError
from nameplate.stages.score.choosing import choose

from .said import said


def chosen(
    *right: list[bool], groups: dict[str, str] | None = None, last: str | None = None, lost: Sequence[int] = ()
) -> tuple[str, str]:
    """Candidates epoch-05, epoch-10, ...; the last one may be an average, and rows of the first one unanswered."""
    names = [f"epoch-{5 * place + 5:02d}" for place in range(len(right))]
    if last is not None:
        names[-1] = last
    answers = {name: said(own, checkpoint=name, split="validation") for name, own in zip(names, right, strict=True)}
    for place in lost:
        answers[names[0]][place] = replace(answers[names[0]][place], finish="nonfinite")
    return choose(answers, groups=groups or {}, averages={last} if last is not None else ())


def first(count: int, n: int = 200) -> list[bool]:
    return [place < count for place in range(n)]


def test_the_earliest_within_one_standard_error_is_chosen_and_the_rule_is_named() -> None:
    name, sentence = chosen(first(100), first(149), first(150))
    assert name == "epoch-10"
    assert sentence == (
        "epoch-10 was chosen by the one-standard-error rule: right on 149 of 200 validation images (74.5%), it is the "
        "earliest that is no further behind the best (epoch-15, 150) than one standard error: 0.5 points, with a "
        "standard error of 0.5. The test split had no say."
    )


def test_a_best_one_that_stands_out_is_chosen() -> None:
    name, sentence = chosen(first(100), first(150))
    assert (name, sentence) == (
        "epoch-10",
        "epoch-10 was chosen: no other is right more often (150 of 200 validation images (75.0%)), and none before it "
        "is within one standard error. The test split had no say.",
    )


def test_equals_go_to_the_earliest_and_one_alone_has_no_rival() -> None:
    assert chosen(first(90), first(90))[0] == "epoch-05"
    assert chosen(first(90))[1].startswith("epoch-05 is the only checkpoint; it is right on 90 of 200")


def test_a_drop_is_overfitting_only_when_it_is_shown() -> None:
    plateau = chosen(first(150), first(147))[1]
    assert "Later on, epoch-10 is 1.5 points below epoch-05: a plateau, since so little can be chance" in plateau
    assert "(exact paired p = 0.250)." in plateau
    overfitted = chosen(first(150), first(120))[1]
    assert "epoch-10 is 15.0 points below epoch-05: overfitting (exact paired p < 0.001)." in overfitted


def test_images_of_one_product_are_one_reason() -> None:
    """Thirty images lost, all of two products: a plateau."""
    groups = {str(place): f"p{place // 15}" for place in range(200)}
    assert "a plateau" in chosen(first(150), first(120), groups=groups)[1]


def test_an_average_is_a_candidate_and_no_later_step() -> None:
    name, sentence = chosen(first(100), first(150), first(180), last="average-2")
    assert name == "average-2"
    assert "average-2 is the average of several checkpoints." in sentence
    assert "Later on" not in sentence
    # Worse than what it averages: no overfitting, for nothing was trained on.
    name, sentence = chosen(first(100), first(150), first(110), last="average-2")
    assert (name, "Later on" in sentence) == ("epoch-10", False)
    # The training's own steps are told apart from each other even where the average is the best of all.
    name, sentence = chosen(first(150), first(120), first(180), last="average-2")
    assert name == "average-2"
    assert "Later on, epoch-10 is 15.0 points below epoch-05: overfitting" in sentence


def test_a_row_that_one_candidate_has_no_answer_to_decides_nothing() -> None:
    name, sentence = chosen(first(150), first(150), lost=range(10))
    assert name == "epoch-05"
    assert "140 of 190 validation images" in sentence
    assert "10 rows that not all of them answered were left out." in sentence
    with pytest.raises(ModelError, match="validation: no row was answered by all of epoch-05, epoch-10; remove"):
        chosen(first(3, 4), first(3, 4), lost=range(4))
