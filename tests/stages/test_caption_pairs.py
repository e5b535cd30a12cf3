"""Pairs of questions and answers are read strictly; facts come from the row's columns or are missed aloud."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.errors import RecipeError
from nameplate.names import build_registry
from nameplate.recipe import CaptionSection
from nameplate.records import SCHEMAS
from nameplate.stages.caption.facts import check_attributes, facts_of
from nameplate.stages.caption.judge import AnswerJudge
from nameplate.stages.caption.pairs import as_caption, parse_pairs
from nameplate.teacher.templates import find_template

GOOD = """Q: Which brand is this product?
A: This cap is made by Puma.

Q: What colour is the cap?
A: The cap is red with a white line."""
CHINESE = "\u95ee\uff1a\u8fd9\u662f\u4ec0\u4e48\uff1f\n\u7b54\uff1a\u8fd9\u662f\u5e3d\u5b50\u3002\n" * 2


def judge(language: str = "en") -> AnswerJudge:
    section = CaptionSection(template="question_answer")
    registry = build_registry(Counter(["Puma", "Nike"]), None)
    return AnswerJudge(registry, find_template(section, language="en", column="brand"))


def test_answers_of_good_pairs_are_the_caption() -> None:
    pairs = parse_pairs(GOOD)
    assert pairs is not None and [pair.question[-1] for pair in pairs] == ["?", "?"]
    assert as_caption(pairs) == "This cap is made by Puma. The cap is red with a white line."
    assert judge().for_row("Puma")(GOOD, "stop") == []


def test_chinese_marks_are_read() -> None:
    assert len(parse_pairs(CHINESE) or ()) == 2


def test_pair_that_was_cut_off_is_left_out() -> None:
    assert len(parse_pairs(GOOD + "\nQ: Is it new?\nA: It looks as if it had") or ()) == 2
    assert len(parse_pairs(GOOD + "\nQ: Is it") or ()) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "This is a Puma cap.",
        "Here are three pairs:\n" + GOOD,
        GOOD.replace("A: The", "The"),
        GOOD.replace("Q: What", "A: What"),
        GOOD.split("\n\n")[0],
        "1. " + GOOD,
        '{"Q": "Which?", "A": "Puma."}',
        "Q: \nA: ",
    ],
)
def test_any_other_form_is_bad_and_said_so(text: str) -> None:
    assert parse_pairs(text) is None
    assert "bad_format" in judge().for_row("Puma")(text, "stop")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [("Puma", "Nike", "other_name"), ("by Puma", "by hand", "name_absent"), ("red", "re\ufffd\ufffd", "garbled")],
)
def test_answers_are_judged_like_a_caption(old: str, new: str, problem: str) -> None:
    assert problem in judge().for_row("Puma")(GOOD.replace(old, new), "stop")


def test_question_that_says_the_name_teaches_nothing_and_is_left_out() -> None:
    pairs = parse_pairs(GOOD.replace("What colour is the cap?", "What colour is the Puma cap?"))
    assert pairs is not None and len(pairs) == 2
    kept = judge().teachable(pairs, name="Puma")
    assert [pair.question for pair in kept] == ["Which brand is this product?"]
    assert judge().teachable(pairs, name="") == list(pairs)


def test_facts_are_title_category_and_other_columns() -> None:
    row = {"title": "Cap", "category": None, "attributes": json.dumps({"material": "wool", "price": "3"})}
    assert facts_of(row, ["material", "title", "category", "size"]) == {"material": "wool", "title": "Cap"}
    assert facts_of({"attributes": None}, ["material"]) == {}


def rows(tmp_path: Path, *attributes: dict[str, str]) -> list[Path]:
    listed = [{"row_id": str(at), "name": "Puma", "attributes": json.dumps(each)} for at, each in enumerate(attributes)]
    path = tmp_path / "part-00000.parquet"
    pq.write_table(pa.Table.from_pylist(listed, schema=SCHEMAS["fetch"]), path)
    return [path]


def test_attribute_that_no_row_has_is_an_error_with_the_nearest_column(tmp_path: Path) -> None:
    paths = rows(tmp_path, {"material": "wool"}, {"colour": "red"})
    check_attributes(["material", "colour"], paths)
    check_attributes([], paths)
    with pytest.raises(RecipeError, match=r"no row has a value in 'materal'.*did you mean 'material'"):
        check_attributes(["materal"], paths)
    with pytest.raises(RecipeError, match=r"no row has a value in 'title'.*leave it out"):
        check_attributes(["title"], paths)
