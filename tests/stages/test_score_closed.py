"""Choosing among names: ranks, ties, what a grey image takes off, and what the choice says beside the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.probing.closed import ClosedSet
from nameplate.stages.score.closed import ClosedAnswer, choose_names, closed_scores, knows_more
from nameplate.stages.score.subjects import EvaluationRow

from .said import said

NAMES = ["A", "B", "C", "D", "E", "F"]
UNIFORM = [1 / 6] * 6


class Shares:
    """A model whose shares are known, in place of one that computes them."""

    def __init__(self, shares: Sequence[Sequence[float]] | None, blind: Sequence[float] = UNIFORM) -> None:
        self.shares, self.blind = shares, blind

    def log_shares(
        self, images: Sequence[ImageKey], advance: Callable[[int], None]
    ) -> dict[ImageKey, list[float]] | None:
        advance(len(images))
        if self.shares is None:
            return None
        return {image: list(map(math.log, own)) for image, own in zip(images, self.shares, strict=True)}

    def log_shares_blind(self, size: object) -> list[float]:
        return list(map(math.log, self.blind))


class NoSizes:
    def sizes(self, keys: Sequence[ImageKey]) -> list[None]:
        return [None] * len(keys)


def chosen(
    shares: Sequence[Sequence[float]] | None, right: str, **kwargs: Sequence[float]
) -> list[ClosedAnswer] | None:
    rows = [EvaluationRow(str(i), "test", name, "", ImageKey(f"{i:064x}", "png")) for i, name in enumerate(right)]
    model, images = cast(ClosedSet, Shares(shares, **kwargs)), cast(ImageCache, NoSizes())
    return choose_names("epoch-05", model, rows, names=NAMES, images=images, advance=lambda _: None)


def test_names_are_ranked_by_their_likelihood() -> None:
    (found,) = chosen([[0.3, 0.25, 0.2, 0.15, 0.06, 0.04]], "B") or []
    assert (found.rank, found.corrected_rank) == (2, 2)
    assert found.top == ["A", "B", "C", "D", "E"]
    assert found.shares == pytest.approx([0.3, 0.25, 0.2, 0.15, 0.06])


def test_what_is_said_of_a_grey_image_is_taken_off() -> None:
    """It says A of anything; of this image it says B more often than of grey."""
    (found,) = chosen([[0.6, 0.3, 0.025, 0.025, 0.025, 0.025]], "B", blind=[0.8, 0.1, 0.025, 0.025, 0.025, 0.025]) or []
    assert (found.rank, found.corrected_rank, found.top[0]) == (2, 1, "B")
    # 3, 0.75 and four times 1.
    assert found.shares == pytest.approx([3 / 7.75, *[1 / 7.75] * 4])


def test_a_tie_is_no_knowledge() -> None:
    (found,) = chosen([UNIFORM], "A") or []
    assert (found.rank, found.corrected_rank) == (6, 6)


def test_likelihoods_that_are_no_numbers_are_left_out_and_other_families_are_not_asked() -> None:
    rows = [UNIFORM, [math.nan] * 6, [math.inf, *UNIFORM[1:]]]
    assert [each.row_id for each in chosen(rows, "ABC") or []] == ["0"]
    assert chosen(None, "A") is None


def answers(ranks: Sequence[int], corrected: Sequence[int], split: str = "test") -> list[ClosedAnswer]:
    return [
        ClosedAnswer("epoch-05", split, str(place), "A", rank, other, [], [])  # type: ignore[arg-type]  # a split's name
        for place, (rank, other) in enumerate(zip(ranks, corrected, strict=True))
    ]


def test_validation_decides_by_which_likelihood_a_model_is_read() -> None:
    good, bad = [1, 1, 2, 6], [2, 6, 6, 6]
    own = closed_scores({"validation": answers(good, bad, "validation"), "test": answers(bad, good)}, num_names=6)
    assert {split: each.by for split, each in own.items()} == {"validation": "likelihood", "test": "likelihood"}
    assert (own["validation"].picked.count, own["validation"].in_five.count) == (2, 3)
    assert (own["test"].picked.count, own["test"].corrected_top1.count) == (0, 2)
    other = closed_scores({"validation": answers(bad, good, "validation"), "test": answers(good, bad)}, num_names=6)
    assert (other["test"].by, other["test"].picked.count) == ("corrected", 0)
    assert closed_scores({"validation": [], "test": []}, num_names=6) == {}


@pytest.mark.parametrize(
    ("picks", "says", "begins"),
    [
        (
            90,
            60,
            "It knows names that it does not say: choosing among all 6 names, epoch-05 is right on 90.0% of 100 test",
        ),
        (60, 61, "It says what it knows, as far as can be seen: "),
        (40, 80, "It says more than it would choose, so choosing is no help here: "),
    ],
)
def test_choosing_beside_answering_says_whether_more_is_known(picks: int, says: int, begins: str) -> None:
    own = answers([1 if place < picks else 2 for place in range(100)], [1] * 100)
    scores = closed_scores({"test": own}, num_names=6)["test"].model_copy(update={"by": "likelihood"})
    spoken = said([place < says for place in range(100)], checkpoint="epoch-05")
    assert knows_more(scores, own, spoken, groups={}).sentence.startswith(begins)
    # All images of one product are one reason.
    assert "as far as can be seen" in knows_more(scores, own, spoken, groups={str(i): "p" for i in range(100)}).sentence
    assert knows_more(scores, own, said([True], finish="failed"), groups={}).sentence == ""
