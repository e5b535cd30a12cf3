"""From judged answers to numbers, and to a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.stages.score.metrics import compare, metrics_of

from .said import said


def test_metrics_keep_wrong_names_and_no_names_apart() -> None:
    metrics = metrics_of(said([True, True, False, True]) + said([False] * 4, verdict="other_name"))
    assert [metrics.accuracy.count, metrics.wrong_name.count, metrics.no_name.count] == [3, 4, 1]
    # Zeta 1 of 2, Acme 2 of 6.
    assert metrics.macro_accuracy == pytest.approx((1 / 2 + 2 / 6) / 2)
    assert metrics.num_names == 2
    assert metrics.accuracy.low < 3 / 8 < metrics.accuracy.high


@pytest.mark.parametrize(
    ("gained", "lost", "outcome", "begins"),
    [
        (20, 4, "better", "Better: epoch-05 names 26 of 100 test images right (26.0%), base 10 (10.0%); 20 became"),
        (4, 9, "tie", "A tie: epoch-05 names 5 of 100 test images right"),
        (0, 9, "worse", "Worse: epoch-05 names 1 of 100 test images right"),
    ],
)
def test_comparison_says_in_words_what_it_found(gained: int, lost: int, outcome: str, begins: str) -> None:
    before = said([place < 10 for place in range(100)])
    after = said([lost <= place < 10 + gained for place in range(100)], checkpoint="epoch-05")
    comparison = compare(before, after)
    assert (comparison.fixed, comparison.regressed, comparison.outcome) == (gained, lost, outcome)
    assert comparison.sentence.startswith(begins)
    assert comparison.low <= comparison.difference <= comparison.high


def test_every_way_to_count_has_its_own_count() -> None:
    rows = said([True, True, False, False, False])
    rows[1] = replace(rows[1], strict=False)
    rows[2] = replace(rows[2], mentioned=True, verdict="other_name")
    rows[3] = replace(rows[3], finish="length")
    metrics = metrics_of(rows)
    shares = (metrics.strict, metrics.accuracy, metrics.mention_any, metrics.cut_off, metrics.wrong_name)
    assert [(share.count, share.n) for share in shares if share is not None] == [(1, 5), (2, 5), (3, 5), (1, 5), (1, 5)]
    assert metrics.macro_low is not None and metrics.macro_high is not None
    assert metrics.macro_low < metrics.macro_accuracy < metrics.macro_high


@pytest.mark.parametrize("finish", ["nonfinite", "failed"])
def test_a_row_without_an_answer_is_in_no_denominator(finish: str) -> None:
    """Neither wrong nor right: the same numbers as if the row were not there."""
    rows = said([True, False, True, False])
    lost = [replace(row, row_id="lost", name="Omega") for row in said([False], finish=finish)]
    assert metrics_of([*rows, *lost]) == metrics_of(rows).model_copy(update={"unscored": 1})


def test_where_nothing_was_answered_nothing_is_known() -> None:
    metrics = metrics_of(said([False] * 3, finish="failed"))
    assert (metrics.unscored, metrics.accuracy.n, metrics.num_names) == (3, 0, 0)
    assert (metrics.accuracy.low, metrics.accuracy.high) == (0.0, 1.0)


def test_pairs_need_both_answers() -> None:
    before = said([False, False, True, True])
    after = said([True, True, True, False], checkpoint="epoch-05")
    after[3] = replace(after[3], finish="nonfinite")
    comparison = compare(before, after)
    assert (comparison.n, comparison.fixed, comparison.regressed) == (3, 2, 0)
    assert "3 of 3 test images" in comparison.sentence
    none = compare(before, said([True] * 4, checkpoint="epoch-05", finish="failed"))
    assert (none.n, none.outcome) == (0, "tie")
    assert none.sentence == "A tie: no test row was answered by both."


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["exact", "other_name", "absent", "ambiguous", "lost"]), min_size=1, max_size=30))
def test_what_is_counted_adds_up_whatever_was_said(verdicts: list[str]) -> None:
    rows = [
        replace(row, verdict=verdict, finish="nonfinite" if verdict == "lost" else "stop")
        for row, verdict in zip(said([verdict == "exact" for verdict in verdicts]), verdicts, strict=True)
    ]
    metrics = metrics_of(rows)
    parts = (metrics.accuracy, metrics.wrong_name, metrics.no_name)
    assert sum(part.count for part in parts) == metrics.accuracy.n == len(rows) - metrics.unscored


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_rows_shows_nothing_and_breaks_nothing(count: int) -> None:
    """Not even when every row went from wrong to right."""
    metrics = metrics_of(said([True] * count))
    assert metrics.accuracy.low < 0.5
    comparison = compare(said([False] * count), said([True] * count, checkpoint="epoch-05"))
    assert (comparison.outcome, comparison.fixed) == ("tie", count)
    assert comparison.sentence.startswith(f"A tie: epoch-05 names {count} of {count} test images right (100.0%)")
