"""Slices: cut exactly, counted with both models, and tested for standing out all together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nameplate.report.answered import Answered
from nameplate.report.slices import (
    MOST_CATEGORIES,
    OTHERS,
    Texts,
    build_slices,
    by_category,
    by_images,
    by_resolution,
    by_text,
    by_training,
)
from nameplate.statistics import holm, slice_p, wilson

from .made_answers import Line, answered


def lines(category: str, right: int, wrong: int, *, before: int = 0) -> list[Line]:
    known = {"category": category}
    said = ["Zorbix"] * right + ["Quvell"] * wrong
    return [Line("Zorbix", "Zorbix" if place < before else "", text, known) for place, text in enumerate(said)]


def sizes(parts: dict[str, list[str]]) -> dict[str, int]:
    return {label: len(rows) for label, rows in parts.items()}


def test_a_planted_slice_stands_out_and_its_numbers_are_exact() -> None:
    made = answered([*lines("shoe", 5, 35, before=2), *lines("bag", 36, 4), *lines("cap", 30, 10)])
    found = build_slices(made)
    assert found is not None
    [table] = found.tables
    assert [(each.label, each.before.count, each.after.count, each.after.n) for each in table.slices] == [
        ("shoe", 2, 5, 40), ("bag", 0, 36, 40), ("cap", 0, 30, 40),
    ]  # fmt: skip
    assert (table.slices[0].after.low, table.slices[0].after.high) == (wilson(5, 40).low, wilson(5, 40).high)
    right = [made.after[row].right for row in made.rows]
    raw = [slice_p(right, [place // 40 == own for place in range(120)]) for own in range(3)]
    assert [each.p_value for each in table.slices] == pytest.approx(holm(raw))
    assert table.slices[0].stands_out
    assert "category of the product: shoe (12.5\N{NO-BREAK SPACE}% of 40, p < 0.001)" in found.sentence


def test_holm_is_over_all_tables_not_over_one() -> None:
    widths = [{"category": "shoe" if place < 20 else "bag", "width": place, "height": 1} for place in range(60)]
    made = answered([Line("Zorbix", "", "Zorbix" if place % 3 else "", known) for place, known in enumerate(widths)])
    found = build_slices(made)
    assert found is not None
    tested = [each for table in found.tables for each in table.slices]
    assert len(tested) == 5
    assert [table.kind for table in found.tables] == ["category", "resolution"]
    assert found.sentence.startswith("None of these 5 slices differs")
    assert not any(each.stands_out for each in tested)


def test_images_of_one_product_are_no_further_evidence() -> None:
    def made(group: str | None) -> Answered:
        rows = []
        for place in range(80):
            known = {"category": "shoe" if place < 40 else "bag", "group": group and f"{group}{place // 20}"}
            rows.append(Line("Zorbix", "", "" if place < 20 else "Zorbix", known))
        return answered(rows)

    alone, together = build_slices(made(None)), build_slices(made("product"))
    assert alone is not None
    assert together is not None
    assert alone.tables[0].slices[0].stands_out
    assert not together.tables[0].slices[0].stands_out


def test_categories_come_fullest_first_and_rare_ones_together() -> None:
    made = [Line("Zorbix", "", "", {"category": f"kind {kind}"}) for kind in range(15) for _ in range(20 - kind)]
    parts = by_category(answered([*made, Line("Zorbix", "", "", {})]))
    assert next(iter(parts)) == "kind 0"
    assert len(parts) == MOST_CATEGORIES + 1
    assert list(parts)[-1] == OTHERS
    assert len(parts[OTHERS]) == 8 + 7 + 6
    assert sum(sizes(parts).values()) == len(made)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([100, 200, 300, 400, 500, 600], {"100 to 200": 2, "300 to 400": 2, "500 to 600": 2}),
        ([448] * 5, {"448": 5}),
        ([100, 448, 448, 448, 448, 448], {"100": 1, "448": 5}),
        ([64, 1200], {"64": 1, "1,200": 1}),
        ([], {}),
    ],
)
def test_thirds_never_part_images_of_one_size(sides: Sequence[int], expected: dict[str, int]) -> None:
    made = [Line("Zorbix", "", "", {"width": side, "height": side // 2}) for side in sides]
    assert sizes(by_resolution(answered([*made, Line("Zorbix", "", "", {"width": 9, "height": None})]))) == expected


def test_names_are_cut_by_their_training_rows() -> None:
    train = {"Zorbix": 9, "Quvell": 10, "Morvane": 300}
    made = [Line(name, "", "") for name in ("Morvane", "Zorbix", "Quvell", "Tannik Blue", "Zorbix")]
    assert by_training(answered(made, train=train)) == {
        "0 to 9": ["r001", "r003", "r004"], "10 to 29": ["r002"], "300 or more": ["r000"],
    }  # fmt: skip


def test_products_are_cut_by_their_images() -> None:
    groups = ["a", "b", "b", "c", "c", "c", "c", None]
    assert by_images(answered([Line("Zorbix", "", "", {"group": group}) for group in groups])) == {
        "1": ["r000", "r007"], "2 or 3": ["r001", "r002"], "4 or more": ["r003", "r004", "r005", "r006"],
    }  # fmt: skip


def test_text_is_cut_by_what_the_probe_read_and_says_of_which_split() -> None:
    made = answered([Line("Zorbix", "", "Zorbix", {"image_sha256": sha}) for sha in "aabbc"])
    texts = Texts(made, "validation", {"a": True, "b": False})
    assert sizes(by_text(texts)) == {"words can be read": 2, "no words": 2}
    found = build_slices(made, texts)
    assert found is not None
    assert [table.title for table in found.tables] == ["Text in the image, by the probe (validation images)"]


@pytest.mark.parametrize("made", [[], lines("shoe", 1, 2), [Line("Zorbix", "", "Zorbix")] * 3])
def test_one_slice_is_no_slice(made: list[Line]) -> None:
    assert build_slices(answered(made)) is None


def test_three_rows_say_that_nothing_stands_out() -> None:
    found = build_slices(answered([*lines("shoe", 1, 0), *lines("bag", 0, 2)]))
    assert found is not None
    assert found.sentence.startswith("None of these 2 slices differs")
