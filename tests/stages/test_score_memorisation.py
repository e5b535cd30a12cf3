"""What was learned by heart: which training rows are asked about, and what the gap is said to mean."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.stages.score.memorisation import memorisation, sample_rows

from .said import said

NAMES = {
    f"r{place}": name for place, name in enumerate(["Acme"] * 600 + ["Zeta"] * 300 + ["Omega"] * 4 + ["Rare"] * 50)
}


def drawn(like: dict[str, int], num_rows: int) -> Counter[str]:
    return Counter(NAMES[row] for row in sample_rows(NAMES, like=Counter(like), num_rows=num_rows))


def test_names_are_as_frequent_as_in_validation() -> None:
    assert drawn({"Acme": 50, "Zeta": 50}, 100) == {"Acme": 50, "Zeta": 50}
    assert drawn({"Acme": 75, "Zeta": 25}, 100) == {"Acme": 75, "Zeta": 25}
    assert "Rare" not in drawn({"Acme": 75, "Zeta": 25}, 100)


def test_a_name_that_runs_out_leaves_its_places_to_the_others() -> None:
    assert drawn({"Acme": 40, "Zeta": 40, "Omega": 20}, 100) == {"Acme": 48, "Zeta": 48, "Omega": 4}


def test_the_same_rows_are_drawn_again_and_fewer_are_some_of_them() -> None:
    like = Counter({"Acme": 2, "Zeta": 1})
    rows = sample_rows(NAMES, like=like, num_rows=90)
    backwards = dict(reversed(NAMES.items()))
    assert sample_rows(backwards, like=like, num_rows=90) == rows
    assert sample_rows(NAMES, like=like, num_rows=30) == rows[:30]
    assert rows != sorted(rows, key=lambda row: int(row[1:]))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["Acme", "Zeta", "Omega", "Rare"]), st.integers(1, 90)),
    st.integers(0, 400),
)
def test_as_many_as_there_are_and_none_twice(like: dict[str, int], num_rows: int) -> None:
    rows = sample_rows(NAMES, like=Counter(like), num_rows=num_rows)
    there = sum(name in like for name in NAMES.values())
    assert len(rows) == len(set(rows)) == min(num_rows, there)


@pytest.mark.parametrize(
    ("train", "validation", "says"),
    [
        (297, 850, "that much it knows by heart and cannot carry over to other images."),
        (256, 850, "such a gap can be chance, so nothing shows that it knows images by heart."),
        (200, 850, "images that it was not trained on are the easier ones here, so this says nothing of learning."),
    ],
)
def test_the_gap_is_said_in_words(train: int, validation: int, says: str) -> None:
    seen = said([place < train for place in range(300)], checkpoint="epoch-10", split="train")
    unseen = said([place < validation for place in range(1000)], checkpoint="epoch-10", split="validation")
    found = memorisation(seen, unseen)
    assert found is not None
    assert found.gap == pytest.approx(train / 300 - 0.85)
    assert found.low < found.gap < found.high
    assert found.sentence.startswith(
        f"epoch-10 names {train / 300:.1%} of 300 images that it was trained on and 85.0% of"
    )
    assert found.sentence.endswith(says)


def test_the_interval_is_newcombes() -> None:
    """Newcombe 1998, table II, example (a): 56 of 70 against 48 of 80, method 10."""
    found = memorisation(
        said([place < 56 for place in range(70)], split="train"),
        said([place < 48 for place in range(80)], split="validation"),
    )
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_what_was_not_asked_has_no_gap() -> None:
    assert memorisation([], said([True], split="validation")) is None
    assert memorisation(said([True], split="train", finish="failed"), said([True], split="validation")) is None
