"""Captions that come with the table: nobody is asked, and rows without names get as far as a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.errors import InputError, RecipeError
from nameplate.pipeline import Pipeline
from nameplate.recipe import CleanSection, Recipe, build_recipe
from nameplate.records import SCHEMAS, StageName
from nameplate.stages.caption import TableCaptionStage
from nameplate.stages.clean.caption import CaptionCleaner
from nameplate.store.rundir import RunDirectory

from .eighteen import drawing, sentence


def recipe(folder: Path, *, texts: list[str | None] | None = None, **sections: Any) -> Recipe:
    """Twelve pictures with captions and no names, and a teacher that nobody could reach."""
    texts = texts if texts is not None else [sentence(number) for number in range(12)]
    rows = [{"image": {"bytes": drawing(number), "path": None}, "caption": text} for number, text in enumerate(texts)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    tree = {
        "table": {"source": str(folder / "table.parquet"), "image": "image", "text": "caption"},
        "name": {"column": None},
        "caption": {"source": "table", "teacher": {"base_urls": "http://127.0.0.1:9/v1", "max_attempts": 1}},
        "clean": {"require_name": False},
        "split": {"min_per_name": 1, "validation": 1, "test": 1},
    }
    return build_recipe({**tree, **sections}, where="test")


def run(chosen: Recipe, folder: Path, until: StageName) -> RunDirectory:
    directory = RunDirectory(folder / "run", store=None)
    Pipeline(chosen, directory).run(until=until)
    return directory


def test_texts_become_captions_and_rows_without_one_are_rejected() -> None:
    table = pa.Table.from_pylist(
        [
            {"row_id": "1", "name": "", "text": " As it stands.\n"},
            {"row_id": "2", "name": "", "text": None},
            {"row_id": "3", "name": "", "text": ""},
        ],
        schema=SCHEMAS["fetch"],
    )
    done: list[int] = []
    result = TableCaptionStage().run_shard(table, done.append)
    assert sum(done) == 3
    (kept,) = result.kept.to_pylist()
    assert (kept["caption_raw"], kept["finish_reason"], kept["teacher_model"]) == (" As it stands.\n", "table", "table")
    assert (kept["teacher_attempts"], kept["request_key"], kept["first_problem"]) == (0, None, None)
    assert [(row["row_id"], row["reason"]) for row in result.rejected.to_pylist()] == [
        ("2", "no_answer"),
        ("3", "no_answer"),
    ]


def test_a_table_with_captions_is_split_without_a_teacher_and_without_names(tmp_path: Path) -> None:
    texts = [*map(sentence, range(12)), None]
    directory = run(recipe(tmp_path, texts=texts), tmp_path, "split")
    rows = directory.tables("split").read_kept().to_pylist()
    assert sorted(row["caption"] for row in rows) == sorted(map(sentence, range(12)))
    assert {row["name"] for row in rows} == {""}
    assert {row["name_verdict"] for row in rows} == {None}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert directory.tables("caption").reasons() == {"no_answer": 1}
    assert directory.manifest.stages["caption"].details["requests"] == 0
    assert directory.manifest.stages["clean"].details["name_verdicts"] == {}


def test_what_the_teacher_would_be_asked_does_not_make_the_tables_captions_stale(tmp_path: Path) -> None:
    directory = run(recipe(tmp_path), tmp_path, "caption")
    before = directory.manifest.stages["caption"].fingerprint
    other = {"source": "table", "prompt": "Other?", "teacher": {"model": "other"}}
    after = run(recipe(tmp_path, caption=other), tmp_path, "caption")
    assert after.manifest.stages["caption"].fingerprint == before


def test_a_row_without_a_name_is_judged_by_its_text_alone() -> None:
    from nameplate.names import Matcher, build_registry

    cleaner = CaptionCleaner(CleanSection(), matcher=Matcher(build_registry({"Acme": 3})))
    cleaned = cleaner.clean(sentence(1), name="", finish_reason="table")
    assert (cleaned.text, cleaned.verdict, cleaned.rejected_for) == (sentence(1), None, None)
    assert cleaner.clean("Short.", name="", finish_reason="table").rejected_for == "too_short"


@pytest.mark.parametrize(
    ("sections", "until", "words"),
    [
        ({"clean": {}}, "clean", r"clean.require_name: true, and with name.column: null"),
        ({"clean": {}}, "split", r"clean.require_name"),
        ({}, "train", r"name.column: null: rows without names go up to split, and 'train'"),
        ({}, "score", r"stop with `nameplate split`"),
        ({}, "report", r"name.column: null"),
        ({"caption": {}}, "caption", r"caption.template: it tells the teacher the row's \{name\}"),
        ({"table": {"source": "table.parquet", "image": "image"}}, "caption", r"caption.source: table.*table.text"),
    ],
)
def test_what_cannot_work_is_refused_before_the_table_is_read(
    sections: dict[str, Any], until: StageName, words: str, tmp_path: Path
) -> None:
    chosen = recipe(tmp_path, **sections)
    (tmp_path / "table.parquet").unlink()
    with pytest.raises(RecipeError, match=words):
        run(chosen, tmp_path, until)


@pytest.mark.parametrize(("sections", "until"), [({"clean": {}}, "caption"), ({"caption": {}, "clean": {}}, "fetch")])
def test_stages_before_the_contradiction_run(sections: dict[str, Any], until: StageName, tmp_path: Path) -> None:
    assert run(recipe(tmp_path, **sections), tmp_path, until).tables(until).num_kept() == 12


def test_a_preset_without_captions_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    chosen = recipe(tmp_path, table={"source": str(tmp_path / "table.parquet"), "preset": "cool-images"})
    pq.write_table(pa.table({"image": [{"bytes": drawing(1), "path": None}]}), tmp_path / "table.parquet")
    with pytest.raises(InputError, match="no column with captions"):
        run(chosen, tmp_path, "caption")
    assert not (tmp_path / "run" / "fetch").exists()
