"""A comparison and its sentence."""

from __future__ import annotations

import numpy as np
import pytest

from nameplate.statistics import compare_pairs, difference_interval, in_words, mcnemar_exact, paired_difference


def pairs(both: int, fixed: int, regressed: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Answers before and after with so many rows of each kind."""
    before = [*[True] * both, *[False] * fixed, *[True] * regressed, *[False] * neither]
    after = [*[True] * both, *[True] * fixed, *[False] * regressed, *[False] * neither]
    return before, after


def test_a_tie_is_called_one_with_what_could_have_been_seen() -> None:
    found = compare_pairs(*pairs(171, 45, 51, 333))
    assert found.outcome() == "tie"
    assert in_words(found, before="epoch-15", after="epoch-20", rows="test images") == (
        "A tie: epoch-20 gets 216 of 600 test images right (36.0%), epoch-15 222 (37.0%); 45 became right, 51 became "
        "wrong; such a difference can be chance (exact paired p = 0.610). With so many changes, only a difference of "
        "about 4.7 points or more shows."
    )


def test_a_difference_is_called_one_with_its_interval() -> None:
    found = compare_pairs(*pairs(60, 100, 6, 434))
    assert found.outcome() == "better"
    assert in_words(found, before="base", after="epoch-05") == (
        "Better: epoch-05 gets 160 of 600 images right (26.7%), base 66 (11.0%); 100 became right, 6 became wrong; "
        "+15.7 points, 95 % interval +12.6 to +18.9, exact paired p < 0.001."
    )
    back = compare_pairs(*pairs(60, 6, 100, 434))
    assert in_words(back, before="b", after="a").startswith("Worse: a gets 66 of 600")


def test_one_of_many_comparisons_needs_more() -> None:
    found = compare_pairs(*pairs(10, 14, 4, 100))
    assert found.p_value == mcnemar_exact(14, 4) < 0.05
    assert (found.outcome(), found.outcome(3 * found.p_value)) == ("better", "tie")
    text = in_words(found, before="a", after="b", p_value=3 * found.p_value, num_comparisons=3)
    assert text.startswith("A tie: ") and "exact paired p = 0.093, Holm over 3" in text


def test_products_decide_and_not_images() -> None:
    """Thirty images that were fixed, of three products: three throws of a coin."""
    before, after = pairs(30, 30, 0, 30)
    groups = [place // 10 for place in range(90)]
    alone, grouped = compare_pairs(before, after), compare_pairs(before, after, groups=groups)
    assert (alone.outcome(), grouped.outcome()) == ("better", "tie")
    assert (alone.mcnemar, grouped.mcnemar) == (alone.p_value, alone.p_value)
    assert (alone.num_groups, grouped.num_groups) == (90, 9)
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize(("counts"), [(0, 0, 0, 400), (400, 0, 0, 0), (200, 3, 0, 197), (0, 50, 0, 0)])
def test_the_interval_is_never_narrower_than_newcombes(counts: tuple[int, int, int, int]) -> None:
    low, high = difference_interval(*pairs(*counts))
    newcombe = paired_difference(*counts)
    assert low <= newcombe.low and newcombe.high <= high
    assert -1 <= low < high <= 1


def test_the_same_answers_are_a_tie_without_a_test() -> None:
    found = compare_pairs(*pairs(5, 0, 0, 5))
    assert (found.p_value, found.detectable, found.difference) == (1.0, None, 0.0)
    assert in_words(found, before="a", after="b").endswith("(exact paired p = 1.000). No row was answered differently.")


def test_three_rows_can_show_nothing_and_none_even_less() -> None:
    found = compare_pairs(*pairs(0, 3, 0, 0))
    assert in_words(found, before="a", after="b").endswith(
        "So few rows can show nothing: at least 6 must change, all in one direction."
    )
    empty = compare_pairs([], [])
    assert (empty.low, empty.high, empty.p_value) == (-1.0, 1.0, 1.0)
    assert in_words(empty, before="a", after="b") == "Nothing to compare: b and a share no images."


def test_rows_in_another_order_are_the_same_comparison() -> None:
    rng = np.random.default_rng(0)
    before, after = (np.asarray(each) for each in pairs(20, 30, 10, 40))
    groups, order = rng.integers(0, 40, size=100), rng.permutation(100)
    one = compare_pairs(before.tolist(), after.tolist(), groups=groups.tolist())
    other = compare_pairs(before[order].tolist(), after[order].tolist(), groups=groups[order].tolist())
    assert one == other
