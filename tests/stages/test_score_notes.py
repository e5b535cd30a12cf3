"""What is said of splits from which little can be learned."""

from __future__ import annotations

from collections import Counter

import pytest

from nameplate.models.images import ImageKey
from nameplate.models.prompts import PROMPTS
from nameplate.recipe import ScoreSection
from nameplate.records import SplitName
from nameplate.stages.score.exam import MOST_NAMES, Exam, why_not_choose
from nameplate.stages.score.notes import notes_of
from nameplate.stages.score.subjects import EvaluationRow


def rows(split: SplitName, **names: int) -> list[EvaluationRow]:
    drawn = [name for name, count in names.items() for _ in range(count)]
    return [
        EvaluationRow(f"{split}-{i}", split, name, "", ImageKey(f"{i:064x}", "png")) for i, name in enumerate(drawn)
    ]


def notes(*, validation: dict[str, int], test: dict[str, int], taught: dict[str, int], **section: object) -> list[str]:
    both: dict[SplitName, list[EvaluationRow]] = {
        "train": [],
        "validation": rows("validation", **validation),
        "test": rows("test", **test),
    }
    exam = Exam(headline="name", questions={"name": PROMPTS["name"]}, rows=both, taught=Counter(taught))
    return notes_of(exam, ScoreSection.model_validate(section), can_choose_names=True)


MANY = {"Acme": 100, "Zeta": 100}


def test_enough_rows_of_several_taught_names_need_no_note() -> None:
    assert notes(validation=MANY, test=MANY, taught=MANY) == []


def test_three_rows_show_nothing_and_it_is_said() -> None:
    assert notes(validation=MANY, test={"Acme": 2, "Zeta": 1}, taught=MANY) == [
        "The test split has 3 rows: with 1 right, the true share would be anywhere from 6% to 79%, and no difference "
        "between two models on so few can be told from chance."
    ]


def test_few_rows_are_said_to_be_few() -> None:
    assert notes(validation={"Acme": 20, "Zeta": 20}, test=MANY, taught=MANY) == [
        "The validation split has 40 rows: with 20 right, the true share would be anywhere from 35% to 65%."
    ]


def test_one_name_makes_accuracy_trivial() -> None:
    only = {"Acme": 200}
    found = notes(validation=only, test=only, taught=only)
    assert found[1] == (
        "All 200 test rows are called Acme: who always says Acme is always right, so accuracy is trivial here and "
        "shows nothing."
    )
    assert found[-1] == "Nobody was asked to choose among names: there is only one."
    (nearly,) = notes(validation=MANY, test={"Acme": 190, "Zeta": 10}, taught=MANY)
    assert nearly.startswith("95% of the test rows are called Acme: who always says Acme reaches that without looking.")


def test_names_that_were_not_taught_are_counted() -> None:
    assert notes(validation=MANY, test=MANY, taught={"Acme": 5}) == [
        f"100 of 200 {split} rows have a name that no training row has: whatever of these is right was known before."
        for split in ("validation", "test")
    ]


@pytest.mark.parametrize(
    ("section", "note"),
    [
        ({"closed_set": "off"}, []),
        (
            {"server": {"base_url": "http://localhost:1/v1"}},
            ["A server answered, which gives neither losses nor the likelihood of names: there are none here."],
        ),
    ],
)
def test_what_is_left_out_is_said(section: dict[str, object], note: list[str]) -> None:
    assert notes(validation=MANY, test=MANY, taught=MANY, **section) == note


def test_too_many_names_to_choose_among() -> None:
    assert why_not_choose([str(i) for i in range(MOST_NAMES)]) == ""
    assert why_not_choose([str(i) for i in range(MOST_NAMES + 1)]).startswith(
        "Nobody was asked to choose among the 1,001 names (score.closed_set)"
    )
