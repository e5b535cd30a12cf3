"""Which checkpoint scoring takes, and how it says why."""

from __future__ import annotations

from nameplate.stages.score.choosing import choose
from nameplate.stages.score.results import Prediction


def answers(name: str, right: list[bool]) -> list[Prediction]:
    return [
        Prediction(name, 1, "validation", str(place), f"{place:064x}", "Acme", "name", "Acme", "exact", is_right)
        for place, is_right in enumerate(right)
    ]


def chosen(*right: list[bool], groups: dict[str, str] | None = None) -> tuple[str, str]:
    names = [f"epoch-{5 * place + 5:02d}" for place in range(len(right))]
    return choose({n: answers(n, each) for n, each in zip(names, right, strict=True)}, groups=groups or {})


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
