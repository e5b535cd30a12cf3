"""Guards: which columns are asked about, how answers are judged, and what is said to be worse than the base."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.models.respondent import Question, Respondent
from nameplate.names import Matcher, Registry, build_registry
from nameplate.progress import Advance
from nameplate.recipe import GuardSection
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.stages.score.guards import GuardAnswers, GuardRound, conclude
from nameplate.stages.score.guards.columns import choose_columns, column_label
from nameplate.stages.score.guards.unnamed import drawn
from nameplate.stages.score.guards.values import ValueReader, value_words
from nameplate.stages.score.replies import Reply
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

REGISTRY: Registry = build_registry({"Acme": 30, "Zeta": 30, "Noor": 30})
NAMES = ("Acme", "Zeta", "Noor")
COLOURS = ("Red", "black", "Navy Blue", "white")
DETAIL, HEADLINE, COLOUR = "In detail?", "Which brand?", "What is the colour of this product?"

Row = dict[str, Any]
Says = Callable[[Question, Row | None], str]


def rows(num: int = 90, **columns: Callable[[int, random.Random], str]) -> list[Row]:
    rng = random.Random(0)
    made = []
    for place in range(num):
        attributes = {column: value(place, rng) for column, value in columns.items()}
        made.append(
            {
                "row_id": f"r{place}",
                "name": NAMES[place % 3],
                "category": attributes.pop("category", None),
                "attributes": json.dumps(attributes),
                "image_sha256": f"{place:064x}",
                "image_ext": "png",
                "split": ("train", "validation")[place % 2],
                "group_id": f"g{place}",
            }
        )
    return made


def colour(place: int, rng: random.Random) -> str:
    return rng.choice(COLOURS)


def write(root: Path, made: Sequence[Row]) -> RunDirectory:
    run = RunDirectory(root)
    table = pa.Table.from_pylist(list(made), schema=SCHEMAS["split"])
    run.tables("split").write(0, table, rejected_schema("split").empty_table())
    return run


def chosen(run: RunDirectory, *wanted: str, num_rows: int = 20) -> list[str]:
    columns = choose_columns(run, registry=REGISTRY, wanted=wanted, num_rows=num_rows)
    return [column.name for column in columns]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("The product is black with a white logo.", "black"),
        ("White, then black", "white"),
        ("REDS!", "Red"),
        ("It is navy-blue.", "Navy Blue"),
        ("It is blue.", None),
        ("hundred", None),
        ("", None),
    ],
)
def test_the_first_value_in_an_answer_decides(answer: str, value: str | None) -> None:
    reader = ValueReader(map(value_words, COLOURS))
    assert reader.first(answer) == (value_words(value) if value is not None else None)


def test_of_values_at_one_place_the_longest_counts_and_plurals_are_one() -> None:
    reader = ValueReader(map(value_words, ["SHOES > Running shoes", "Shoe", "Dresses", "glass"]))
    assert reader.first("A pair of running shoes") == ("running", "shoe")
    assert reader.first("A shoe for running") == ("shoe",)
    assert reader.first("This dress") == value_words("dresses") == ("dress",)
    assert reader.first("glasses") == ("glass",)


def test_columns_that_can_be_asked_about_are_chosen_the_fullest_first(tmp_path: Path) -> None:
    sparse = {"pattern": lambda place, rng: rng.choice(["plain", "striped"]) if place % 5 else ""}
    run = write(
        tmp_path,
        rows(
            category=lambda place, rng: rng.choice(["Bags > Handbags", "Bags > Backpacks"]),
            colour=colour,
            maker=lambda place, rng: NAMES[place % 3],
            brand_slug=lambda place, rng: f"{NAMES[place % 3]} inc",
            owner=lambda place, rng: NAMES[(place + rng.randrange(2)) % 3],
            home=lambda place, rng: ["Paris", "Milan", "Paris"][place % 3],
            price=lambda place, rng: str(rng.randrange(10)),
            currency=lambda place, rng: rng.choice(["EUR", "USD"]),
            shop=lambda place, rng: "One shop",
            sku=lambda place, rng: f"word {place}",
            story=lambda place, rng: rng.choice(["a long story of this thing", "another long story of it"]),
            often=lambda place, rng: "yes please" if place else "never",
            rare=lambda place, rng: rng.choice(["one", "two"]) if place % 3 == 0 else "",
            **sparse,
        ),
    )
    assert chosen(run) == ["category", "colour", "pattern"]


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("Colour_Family", "colour family"),
        ("category2_code", "category"),
        ("size2", "size"),
        ("code", "code"),
        ("3d", "3d"),
    ],
)
def test_a_column_is_spoken_of_in_words(column: str, label: str) -> None:
    assert column_label(column) == label


def test_wanted_columns_are_asked_about_whatever_they_are(tmp_path: Path) -> None:
    run = write(tmp_path, rows(colour=colour, home=lambda place, rng: ["Paris", "Milan", "Paris"][place % 3]))
    assert chosen(run, "home", "colour", "home") == ["home", "colour"]
    with pytest.raises(InputError, match=r"no column 'color'; expected one of colour, home"):
        chosen(run, "color")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda place, rng: str(place % 50), "column 'size' has 0 values of at most three words; expected 2 to 200"),
        (lambda place, rng: f"size {place}", "column 'size' has more than 200 values"),
    ],
)
def test_a_wanted_column_with_too_few_values_or_too_many_is_refused(
    tmp_path: Path, value: Callable[[int, random.Random], str], said: str
) -> None:
    run = write(tmp_path, rows(300, size=value))
    with pytest.raises(InputError, match=said):
        chosen(run, "size")


def test_rows_are_one_of_a_product_and_image_and_always_the_same(tmp_path: Path) -> None:
    made = rows(colour=colour)
    for place, row in enumerate(made):
        row["group_id"] = f"g{place // 6}"
        row["image_sha256"] = f"{place // 20:064x}"
    run, other = write(tmp_path / "one", made), write(tmp_path / "two", made[::-1])
    first, again = (
        choose_columns(each, registry=REGISTRY, wanted=("colour",), num_rows=50)[0].rows for each in (run, other)
    )
    assert first == again
    assert len(first) == len({row.image for row in first}) == 5
    by_id = {row["row_id"]: row for row in made}
    assert len({by_id[row.row_id]["group_id"] for row in first}) == len(first)
    assert {by_id[row.row_id]["split"] for row in first} == {"validation"}


def test_drawn_images_are_as_described_and_the_same_every_time() -> None:
    images = drawn()
    assert len(images) == 24
    assert len({image.tobytes() for image in images}) == 24
    assert {(image.shape, image.dtype) for image in images} == {((224, 224, 3), np.dtype(np.uint8))}
    assert all(np.array_equal(one, other) for one, other in zip(images, drawn(), strict=True))


class Room:
    """A run with colours, and models that answer as they are told."""

    def __init__(self, root: Path, *, detail: bool = True, **section: Any) -> None:
        self.rows = rows(colour=colour)
        self.run = write(root, self.rows)
        self.by_image = {row["image_sha256"]: row for row in self.rows}
        validation = [ImageKey(row["image_sha256"], "png") for row in self.rows if row["split"] == "validation"]
        self.asked: list[Question] = []
        self.round = GuardRound(
            GuardSection.model_validate({"rows": 40} | section),
            run=self.run,
            matcher=Matcher(REGISTRY),
            headline=HEADLINE,
            detail=DETAIL if detail else None,
            detailed=validation,
        )

    def hear(self, says: Says) -> GuardAnswers:
        def ask(questions: Sequence[Question], advance: Advance) -> Mapping[Question, Reply]:
            self.asked = list(questions)
            texts = {each: says(each, self.by_image.get(each.image.sha256)) for each in questions}
            return {each: Reply(text, "failed" if text == "?" else "stop", None) for each, text in texts.items()}

        answers = self.round.ask(ask, lambda steps: None)
        assert answers is not None
        return answers


def colour_of(row: Row) -> str:
    return str(json.loads(row["attributes"])["colour"])


def knowing(question: Question, row: Row | None) -> str:
    if question.prompt == COLOUR and row is not None:
        return f"It is {colour_of(row)}."
    if question.prompt == DETAIL and row is not None:
        return f"A {colour_of(row)} thing stands on a table and it has one strap."
    return "I see no brand."


def forgetful(question: Question, row: Row | None) -> str:
    """Says black of everything, loops in detail, and a name where there is none."""
    if question.prompt == DETAIL:
        return "the logo, " * 40
    return "black" if question.prompt == COLOUR else ("Acme" if row is None else "Zeta")


def test_what_a_model_says_is_counted(tmp_path: Path) -> None:
    room = Room(tmp_path)
    answers = room.hear(knowing)
    scores = answers.scores
    assert len(room.asked) == len(set(room.asked)) == room.round.num_steps == 40 + 24 + 45
    assert [(each.column, each.question, each.right.count, each.right.n) for each in scores.questions] == [
        ("colour", COLOUR, 40, 40),
        ("colour in detail", DETAIL, 40, 40),
    ]
    assert (scores.words, scores.repeating.count, scores.repeating.n) == (12.0, 0, 45)
    assert scores.overclaim is not None
    assert (scores.overclaim.count, scores.overclaim.n, scores.overclaimed) == (0, 24, {})
    assert scores.drawn
    again = room.hear(forgetful).scores
    blacks = sum(colour_of(row) == "black" for row in room.rows if row["split"] == "validation")
    assert 0 < again.questions[0].right.count <= blacks < 30
    assert (again.repeating.count, again.repeating.n) == (45, 45)
    assert again.distinct_pairs < 0.01 < scores.distinct_pairs
    assert again.overclaimed == {"Acme": 24}


def test_only_what_is_really_worse_is_said(tmp_path: Path) -> None:
    room = Room(tmp_path)
    base, same, worse = room.hear(knowing), room.hear(knowing), room.hear(forgetful)
    scores = conclude({"base": base, "epoch-01": same, "epoch-02": worse}, base="base")
    assert scores["base"].sentences == scores["epoch-01"].sentences == []
    right = worse.scores.questions[0].right.count
    assert scores["epoch-02"].sentences == [
        f"It knows the colour less often than the base: {right} instead of 40 of 40 images (exact paired p < 0.001, "
        "Holm over 2 models).",
        "It says the colour less often than the base when asked for detail: 0 instead of 40 of 40 images (exact "
        "paired p < 0.001, Holm over 2 models).",
        "It repeats itself more often than the base when asked for detail: 45 instead of 0 of 45 answers (exact "
        "paired p < 0.001, Holm over 2 models).",
        "It claims a name more often than the base where there is none: 24 instead of 0 of 24 images (exact paired "
        "p < 0.001, Holm over 2 models). It can be taught that there may be none: train.examples.unnamed.",
    ]
    # What became better is no loss.
    assert conclude({"base": worse, "epoch-01": base}, base="base")["epoch-01"].sentences == []


def test_holm_is_over_the_checkpoints(tmp_path: Path) -> None:
    """Six rows lost and none won is p = 0.031: worse alone, not worse as one of two checkpoints."""
    room = Room(tmp_path)
    wrong = {question.image for question in _colour_questions(room)[:6]}

    def nearly(question: Question, row: Row | None) -> str:
        return "no idea" if question.prompt == COLOUR and question.image in wrong else knowing(question, row)

    base, less = room.hear(knowing), room.hear(nearly)
    alone = conclude({"base": base, "epoch-01": less}, base="base")
    assert alone["epoch-01"].sentences == [
        "It knows the colour less often than the base: 34 instead of 40 of 40 images (exact paired p = 0.031)."
    ]
    both = conclude({"base": base, "epoch-01": less, "epoch-02": base}, base="base")
    assert both["epoch-01"].sentences == []


def _colour_questions(room: Room) -> list[Question]:
    room.hear(knowing)
    return [question for question in room.asked if question.prompt == COLOUR]


def test_what_was_not_answered_is_in_no_denominator(tmp_path: Path) -> None:
    room = Room(tmp_path)
    silent = {question.image for question in _colour_questions(room)[:5]}

    def failing(question: Question, row: Row | None) -> str:
        return "?" if question.prompt == COLOUR and question.image in silent else knowing(question, row)

    answers = room.hear(failing)
    assert (answers.scores.questions[0].right.count, answers.scores.questions[0].right.n) == (35, 35)
    scores = conclude({"base": room.hear(knowing), "epoch-01": answers}, base="base")
    assert scores["epoch-01"].sentences == []


def test_a_recipe_may_want_no_guards_or_no_detail(tmp_path: Path) -> None:
    off = Room(tmp_path / "off", rows=0).round
    assert (off.num_steps, off.notes, off.ask(lambda questions, advance: {}, lambda steps: None)) == (0, [], None)
    room = Room(tmp_path / "on", detail=False)
    scores = room.hear(knowing).scores
    assert [each.column for each in scores.questions] == ["colour"]
    assert (scores.words, scores.repeating.n) == (0.0, 0)


def test_a_table_with_nothing_to_ask_about_says_so(tmp_path: Path) -> None:
    run = write(tmp_path, rows())
    guards = GuardRound(GuardSection(), run=run, matcher=Matcher(REGISTRY), headline=HEADLINE, detail=None, detailed=[])
    assert "No column besides the name has 2 to 30 short values" in guards.notes[0]
    assert guards.num_steps == 24


def test_images_without_a_name_may_come_from_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    (folder / "deeper").mkdir(parents=True)
    Image.new("RGB", (40, 30), (1, 2, 3)).save(folder / "a.JPG", "JPEG")
    Image.new("RGB", (40, 30), (99, 2, 3)).save(folder / "deeper" / "b.png")
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    room = Room(tmp_path / "run", unnamed=str(folder))
    scores = room.hear(forgetful).scores
    assert (scores.overclaimed, scores.drawn) == ({"Acme": 2}, False)
    keys = [question.image for question in room.asked if question.prompt == HEADLINE]
    assert all(room.run.images.path(*key).exists() for key in keys)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("", b"", "no such folder"),
        ("notes.txt", b"words", "no image in it"),
        ("a.png", b"not a png", "cannot be decoded"),
    ],
)
def test_a_folder_that_will_not_do_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    folder = tmp_path / "plain"
    if name:
        folder.mkdir()
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        Room(tmp_path / "run", unnamed=str(folder))


def test_real_models_answer_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run")
    made = run.tables("split").read_kept().to_pylist()
    for place, row in enumerate(made):
        row["attributes"] = json.dumps({"colour": COLOURS[place % 3]})
    run = RunDirectory(tmp_path / "again", store=run.store)
    write(run.root, made)
    folders = {name: write_tiny_model(tmp_path / name, seed=seed) for seed, name in enumerate(("base", "epoch-01"))}
    matcher = Matcher(build_registry({"Acme": 1, "Zeta": 1}))
    validation = [ImageKey(row["image_sha256"], row["image_ext"]) for row in made if row["split"] == "validation"]

    def examined(journal: Journal) -> tuple[dict[str, GuardAnswers], int]:
        images = ImageCache(run.images, load_processor(folders["base"], max_tiles=1))
        guards = GuardRound(
            GuardSection(rows=3), run=run, matcher=matcher, headline=PROMPTS["name"], detail=PROMPTS["detail"],
            detailed=validation,
        )  # fmt: skip
        answers, computed = {}, 0
        for name, folder in folders.items():
            asked = Respondent(folder, weights=name, images=images, journal=journal, max_new_tokens=4, batch_size=8)

            def ask(
                questions: Sequence[Question], advance: Advance, asked: Respondent = asked
            ) -> Mapping[Question, Reply]:
                answers = asked.replies(questions, advance)
                return {each: Reply(said.text, said.finish, said.confidence) for each, said in answers.items()}

            said = guards.ask(ask, lambda steps: None)
            assert said is not None
            answers[name] = said
            computed += asked.num_computed
        return answers, computed

    with Journal(run.prediction_journal) as journal:
        first, computed = examined(journal)
        again, computed_again = examined(journal)
    assert (computed, computed_again) == (2 * (3 + 24 + 4), 0)
    assert again == first
    scores = conclude(first, base="base")
    assert [each.right.n for each in scores["epoch-01"].questions] == [3, 3]
    assert scores["epoch-01"].repeating.n == 4
