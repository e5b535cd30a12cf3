"""The audit's parts: which rows are drawn, what a text states, what is counted of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from nameplate.errors import InputError
from nameplate.models.surprise import TokenLoss
from nameplate.names import Matcher, build_registry
from nameplate.recipe import CleanSection
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.stages.audit.claims import choices_of
from nameplate.stages.audit.gain import what_is_told
from nameplate.stages.audit.lexicon import Claim, build_lexicon, restated
from nameplate.stages.audit.results import TextFlag
from nameplate.stages.audit.sample import draw_sample
from nameplate.stages.audit.texts import NamedText, TextReader, names_in_answer
from nameplate.store.tables import StageTables

SIZES = {"Acme": 500, "Zeta": 300, "Iota": 150, "Mini": 50}
PLAIN = build_lexicon([])


def tables(folder: Path, sizes: dict[str, int]) -> StageTables:
    rows = [
        {"row_id": f"{name}-{number}", "name": name, "caption": "a", "image_sha256": "0", "image_ext": "png"}
        for name, size in sizes.items()
        for number in range(size)
    ]
    found = StageTables(folder, "clean")
    for index, part in enumerate((rows[::2], rows[1::2])):
        found.write(index, pa.Table.from_pylist(part, schema=SCHEMAS["clean"]), rejected_schema("clean").empty_table())
    return found


@pytest.mark.parametrize("num_rows", [1, 3, 7, 100, 200, 999, 1000, 5000])
def test_each_name_has_its_share_of_the_sample(tmp_path: Path, num_rows: int) -> None:
    sample = draw_sample(tables(tmp_path, SIZES), num_rows=num_rows, seed=3)
    drawn = min(num_rows, 1000)
    assert (len(sample.rows), sample.total) == (drawn, 1000)
    assert len({row.row_id for row in sample.rows}) == drawn
    counts = Counter(row.name for row in sample.rows)
    assert all(abs(counts[name] - drawn * size / 1000) <= 1 for name, size in SIZES.items())


def test_a_seed_decides_which_rows_are_drawn(tmp_path: Path) -> None:
    table = tables(tmp_path, SIZES)
    drawn = [[row.row_id for row in draw_sample(table, num_rows=100, seed=seed).rows] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0]) & set(drawn[2])) < 30


def test_without_clean_captions_there_is_no_sample(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clean captions"):
        draw_sample(StageTables(tmp_path, "clean"), num_rows=10, seed=0)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("A Red t-shirt.", {("colour", "red"), ("kind", "t-shirt")}),
        ("a shirt-dress, embossed, boss", set()),
        ("gray polka-dot running shoe", {("colour", "grey"), ("pattern", "dotted"), ("kind", "running shoe")}),
        ("capable of redness", set()),
        ("", set()),
    ],
)
def test_claims_are_whole_words_and_the_longest_of_them(text: str, claims: set[tuple[str, str]]) -> None:
    assert set(PLAIN.claims(text)) == {Claim(*claim) for claim in claims}


def test_the_tables_categories_are_kinds_too() -> None:
    lexicon = build_lexicon(["BAGS > Tote bag", "Shoes", "x" * 80, "50% off", "DRESS"])
    assert Claim("kind", "tote bag") in lexicon.claims("a tote bag of shoes")
    assert lexicon.values("kind")[-1] == "tote bag"
    assert set(build_lexicon(["Dress shirt"]).claims("a dress shirt")) == {Claim("kind", "dress shirt")}
    assert Claim("kind", "shoes") not in lexicon.claims("a tote bag of shoes")


@pytest.mark.parametrize(
    ("text", "value", "other", "result"),
    [
        ("It is a red cap, a red one.", "red", "orange", "It is an orange cap, an orange one."),
        ("An orange cap.", "orange", "red", "A red cap."),
        ("Red cap", "red", "orange", "Orange cap"),
        ("Extra red", "red", "blue", "Extra blue"),
    ],
)
def test_another_value_comes_with_its_article(text: str, value: str, other: str, result: str) -> None:
    assert restated(text, PLAIN.claims(text)[Claim("colour", value)], other) == result


def test_the_other_sides_value_is_always_among_the_choices_and_an_own_one_never() -> None:
    text = "a red cap on a white ground"
    for rival in ("brown", "pink", "black"):
        choice = next(each for each in choices_of(text, PLAIN, rival=f"a {rival} cap") if each.claim.value == "red")
        assert choice.options[0] == text
        assert choice.options[1] == f"a {rival} cap on a white ground"
        assert len(set(choice.options)) == len(choice.options) == 8
        assert not any(option.startswith("a white") for option in choice.options)


def test_names_are_left_out_of_what_a_text_tells() -> None:
    seen = [TokenLoss(0, 4, 0.5), TokenLoss(4, 9, 0.1), TokenLoss(9, 12, 1.0)]
    blank = [TokenLoss(0, 4, 1.5), TokenLoss(4, 9, 9.1), TokenLoss(9, 12, 1.0)]
    told = what_is_told(seen, blank, [(5, 9)])
    assert told == (1.0, 0.5, 0.75)
    assert what_is_told(seen, blank, [(0, 12)]) == (0.0, 0.0, 0.0)


READER = TextReader(CleanSection(min_words=1), Matcher(build_registry({"Acme": 9, "H&M": 9})))
GOOD = "A red cap by Acme lies on a white table."


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("A red cap by Acme lies on a white", TextFlag.CUT_OFF),
        ("I'm sorry, I cannot help with images of products.", TextFlag.REFUSAL),
        ("A cap. " + "It is new and clean. " * 6, TextFlag.REPEATS),
        ("See https://example.com for the red cap.", TextFlag.LINK_OR_PRICE),
        ("The red cap costs 25 EUR in this shop.", TextFlag.LINK_OR_PRICE),
        ("A red cap of 80 % cotton from the brand.", TextFlag.UNSEEABLE),
        ("A red cap, made in Italy, with a visor.", TextFlag.UNSEEABLE),
        ("Une casquette rouge avec une visière, elle est posée sur la table dans une pièce.", TextFlag.WRONG_LANGUAGE),
    ],
)
def test_flags(text: str, flag: TextFlag) -> None:
    figures = READER.figures([NamedText(GOOD, "Acme"), NamedText(text, "")])
    assert figures.flags[flag].count == 1
    assert all(share.n == 2 for share in figures.flags.values())


def test_texts_that_differ_by_a_name_only_are_twins() -> None:
    texts = [NamedText(f"A {colour} cap by {name} lies on the table.", name) for colour, name in
             (("red", "Acme"), ("red", "H&M"))]  # fmt: skip
    other = NamedText("Two white plates stand in a cupboard made of oak.", "")
    figures = READER.figures([*texts, other])
    assert figures.flags[TextFlag.NEAR_DUPLICATE].count == 2
    assert (figures.name_right.count, figures.name_right.n) == (2, 2)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("HBO Max.", ("HBO Max",)),
        ("The brand of this product is Nike Sportswear, made by Nike.", ("Nike Sportswear", "Nike")),
        ("I cannot tell which brand it is from this picture.", ()),
        ("", ()),
    ],
)
def test_the_names_of_an_answer(answer: str, names: tuple[str, ...]) -> None:
    assert names_in_answer(answer) == names


def test_what_the_base_takes_for_a_name_is_left_out_as_registered_names_are() -> None:
    text = "A cap by H&M, not the HBO Max one of C++ (x."
    assert READER.without_names(text, ("HBO Max", "C++ (x", "H&M"), instead="_") == "A cap by _, not the _ one of _."
