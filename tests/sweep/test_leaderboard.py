"""Choosing and comparing members: on validation, by pairs, with products held together and Holm over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from nameplate.statistics import holm, wilson
from nameplate.sweep.choice import choose
from nameplate.sweep.finished import compare_members
from nameplate.sweep.leaderboard import compare_all, over_seeds, rank_of

from .made_up import share

NUM = 60


def finished(
    wrong: int, *, seed: int = 0, validation: int | None = None, rows: int = NUM, matcher: str = "m", size: int = 1
) -> Any:
    """A trial whose first answers are wrong: so many on test, so many on validation; `size` rows make one product."""
    return SimpleNamespace(
        trial=SimpleNamespace(seed=seed),
        summary=SimpleNamespace(score=SimpleNamespace(headline="name", matcher=matcher)),
        test={f"t{row}": row >= wrong for row in range(rows)},
        validation={f"v{row}": row >= (wrong if validation is None else validation) for row in range(rows)},
        groups={f"{split}{row}": f"{split}{row // size}" for split in "tv" for row in range(rows)},
    )


def rows(members: Mapping[str, Sequence[Any]], trainable: Mapping[str, int]) -> list[Any]:
    found = []
    for name, own in members.items():
        right = sum(sum(each.validation.values()) for each in own)
        validation = share(right, sum(len(each.validation) for each in own)) if own else None
        found.append(SimpleNamespace(member=name, validation=validation, trainable=trainable[name]))
    return sorted(found, key=lambda row: (-row.validation.value if row.validation else 1, row.trainable))


def test_p_values_are_adjusted_for_all_members_that_could_be_compared() -> None:
    members = {"ref": [finished(30)], "a": [finished(20)], "b": [finished(23)], "other": [finished(9, rows=50)]}
    found = compare_all(members, "ref")
    assert list(found) == ["a", "b"]
    plain = [2 * 0.5**10, 2 * 0.5**7]
    assert [each.pairs.p_value for each in found.values()] == pytest.approx(plain)
    assert [each.adjusted for each in found.values()] == pytest.approx(holm(plain))
    assert {each.num_compared for each in found.values()} == {2}


def test_seeds_and_photographs_of_one_product_are_not_counted_as_further_evidence() -> None:
    one = compare_members([finished(12)], [finished(6)])
    two = compare_members([finished(12), finished(12, seed=1)], [finished(6), finished(6, seed=1)])
    products = compare_members([finished(12, size=2)], [finished(6, size=2)])
    assert one is not None
    assert two is not None
    assert products is not None
    assert (two.n, two.fixed) == (2 * one.n, 2 * one.fixed)
    assert two.p_value == pytest.approx(one.p_value) == pytest.approx(2 * 0.5**6)
    assert products.p_value == pytest.approx(2 * 0.5**3)


def test_seeds_are_compared_with_their_own() -> None:
    found = compare_members([finished(10), finished(40, seed=1)], [finished(40, seed=1), finished(10)])
    assert found is not None
    assert found.fixed == found.regressed == 0


def test_what_was_judged_otherwise_or_asked_of_other_images_is_not_compared() -> None:
    assert compare_members([finished(10)], [finished(5, matcher="n")]) is None
    assert compare_members([finished(10)], [finished(5, rows=NUM - 1)]) is None
    assert compare_members([], [finished(5)]) is None


def test_validation_chooses_and_the_test_has_no_say() -> None:
    members = {"ref": [finished(30, validation=20)], "lucky": [finished(0, validation=25)]}
    assert choose(members, rows(members, {"ref": 5, "lucky": 9}), "ref").member == "ref"


def test_of_equals_the_one_that_learns_less_is_taken_and_said() -> None:
    members = {"big": [finished(10)], "small": [finished(10)]}
    found = choose(members, rows(members, {"big": 9, "small": 5}), "big")
    assert found.member == "small"
    assert "Of equals (big)" in found.sentence


def test_a_simpler_member_within_one_standard_error_is_named() -> None:
    near = {"big": [finished(10)], "small": [finished(11)]}
    far = {"big": [finished(10)], "small": [finished(25)]}
    sizes = {"big": 9000, "small": 5}
    said = choose(near, rows(near, sizes), "big").sentence
    assert "small is within one standard error of it and learns 5 parameters instead of 9,000" in said
    assert "No member that learns fewer parameters" in choose(far, rows(far, sizes), "big").sentence


def test_a_member_with_other_validation_images_is_no_candidate() -> None:
    members = {"ref": [finished(30)], "easy": [finished(0, rows=40)]}
    assert choose(members, rows(members, {"ref": 1, "easy": 1}), "ref").member == "ref"


def test_the_leaderboard_is_by_validation_then_by_what_learns_and_failures_are_last() -> None:
    def row(right: int | None, learns: int) -> Any:
        return SimpleNamespace(validation=share(right, 50) if right is not None else None, trainable=learns)

    best, small, large, failed = row(40, 9), row(30, 2), row(30, 3), row(None, 1)
    assert sorted([failed, large, small, best], key=rank_of) == [best, small, large, failed]


def test_nothing_done_is_nothing_chosen() -> None:
    assert choose({"a": []}, [], "a").member is None


def test_the_mean_over_seeds_has_the_interval_of_the_images() -> None:
    found = over_seeds([share(30, 100), share(40, 100)])
    single = wilson(35, 100)
    assert found is not None
    assert (found.count, found.n, found.value) == (70, 200, 0.35)
    assert (found.low, found.high) == (pytest.approx(single.low), pytest.approx(single.high))
    assert over_seeds([]) is None
