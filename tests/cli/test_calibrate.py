"""`nameplate clean --calibrate` on a run whose captions were written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.cli.calibrate import excerpt
from nameplate.engine import LocalEngine, file_shards
from nameplate.names import NameEntry, Registry
from nameplate.progress import SilentProgress
from nameplate.recipe import load_recipe
from nameplate.records import SCHEMAS, CleanReason, rejected_schema
from nameplate.stages.clean import CleanStage
from nameplate.store.tables import StageTables
from nameplate.teacher.templates import template_of
from nameplate.text.places import Place

REST = "It has a gold logo in the middle of the front."
CAPTIONS = [
    *(f"A red bag by Gucci, number {place}. {REST}" for place in range(20)),
    *(f"A red bag by GUCCI, number {place}. {REST} The st" for place in range(30, 34)),
    f"A red bag by Gucci. {REST} It is new and clean. It is new and clean. It is new and clean.",
    f"A red bag by Gucci. {REST} It is new and shiny. It is new and shiny.",
    f"A red bag. {REST}",
    "I'm sorry, Gucci cannot be named. \x1b[31mRed.",
    "A nice red bag by Gucci.",
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run as the caption stage leaves it, and its recipe."""
    blank = dict.fromkeys(SCHEMAS["caption"].names)
    rows = [
        blank | {"row_id": f"r{place}", "name": "Gucci", "caption_raw": text, "finish_reason": "stop"}
        for place, text in enumerate(CAPTIONS)
    ]
    tables = StageTables(tmp_path / "run" / "caption", "caption")
    for index, part in enumerate((rows[:13], rows[13:])):
        empty = rejected_schema("caption").empty_table()
        tables.write(index, pa.Table.from_pylist(part, schema=SCHEMAS["caption"]), empty)
    registry = tmp_path / "run" / "ingest" / "registry.json"
    registry.parent.mkdir()
    registry.write_text(Registry((NameEntry("Gucci"),)).to_json(), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text("table: {source: feed.csv}\n", encoding="utf-8")
    return tmp_path


def calibrate(run: Path, *words: str) -> str:
    command = ["clean", str(run / "recipe.yaml"), "--run-dir", str(run / "run"), "--calibrate", *words]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return result.stdout


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kept_by_cleaning(run: Path, folder: Path, *overrides: str) -> int:
    """What the stage itself keeps."""
    recipe = load_recipe(run / "recipe.yaml", overrides)
    registry = Registry.from_json((run / "run" / "ingest" / "registry.json").read_text(encoding="utf-8"))
    inputs = StageTables(run / "run" / "caption", "caption").kept_paths()
    stage = CleanStage(recipe.clean, registry=registry, prompt=template_of(recipe).wording)
    tables = StageTables(folder, "clean")
    return LocalEngine().run(stage, file_shards(inputs), tables=tables, progress=SilentProgress(), total=None).kept


def test_it_prints_each_rule_with_examples_and_the_cost_of_its_threshold(run: Path) -> None:
    lines = calibrate(run).splitlines()
    assert lines[0] == "29 captions; with these thresholds 25 are kept, 86.2% (69.4 to 94.5)"
    place = lines.index("tail_loop                    1  3.4% (0.6 to 17.2)                         0")
    assert lines[place + 1 : place + 4] == [
        "      ...ddle of the front.>> It is new and clean. It is new and clean. It...<<",
        "   clean.loop_min_repeats 3 -> 2: 1 more flagged; 1 would go",
        "      ...ddle of the front.>> It is new and shiny. It is new and shiny.<<",
    ]
    place = lines.index("canonical_name                   4  13.8% (5.5 to 30.6)")
    assert {lines[place + 1].replace("GUCCI", "Gucci").strip()} == {lines[place + 2].strip()[3:]}
    assert "flag nothing, now and one step away: empty, leaked, wrapped, mojibake, few_words" in lines


def test_it_fits_80_columns_and_shows_no_escapes_of_strangers(run: Path) -> None:
    shown = calibrate(run)
    assert max(map(cell_len, shown.splitlines())) <= 80
    assert "\x1b" not in shown and "\u00b7[31m" in shown


def test_what_it_says_is_what_cleaning_does(run: Path, tmp_path: Path) -> None:
    found = json.loads(calibrate(run, "--json"))
    assert found["kept"]["count"] == kept_by_cleaning(run, tmp_path / "now")
    (short,) = [rule for rule in found["rules"] if rule["reason"] == "too_short"]
    (move,) = [move for move in short["moves"] if move["limit"] == 6]
    assert (move["freed"], move["turned"]) == (2, 1)
    assert [example["row_id"] for example in move["examples"]] == ["r27", "r28"]
    assert kept_by_cleaning(run, tmp_path / "then", "clean.min_words=6") == found["kept"]["count"] + move["turned"]
    assert {rule["reason"] for rule in found["rules"]} == {reason.value for reason in CleanReason}


def test_thresholds_can_be_tried_without_writing_them_down(run: Path) -> None:
    found = json.loads(calibrate(run, "--json", "--set", "clean.min_words=30"))
    assert found["kept"]["count"] == 0


def test_nothing_is_written(run: Path) -> None:
    before, paths = files(run), sorted(run.rglob("*"))
    calibrate(run)
    assert files(run) == before and sorted(run.rglob("*")) == paths


def test_without_captions_it_says_what_to_do_and_makes_no_folder(run: Path) -> None:
    command = ["clean", str(run / "recipe.yaml"), "--run-dir", str(run / "elsewhere"), "--calibrate"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "there are no captions here to look at" in result.stderr and "nameplate caption" in result.stderr
    assert not (run / "elsewhere").exists()


def test_shared_texts_are_counted_a_step_below_the_limit(run: Path) -> None:
    tables = StageTables(run / "run" / "caption", "caption")
    text = f"A picture of a product by Gucci, which is nice. {REST} {REST[:-1]}, as one can see, and nothing else."
    rows = tables.read_kept().to_pylist()
    for place, row in enumerate(rows[:4]):
        row |= {"caption_raw": text, "image_phash": f"{place:016x}"}
    tables.write(0, pa.Table.from_pylist(rows, schema=SCHEMAS["caption"]), rejected_schema("caption").empty_table())
    tables.kept_path(1).unlink()
    found = json.loads(calibrate(run, "--json"))
    (rule,) = [rule for rule in found["rules"] if rule["reason"] == "shared_text"]
    assert rule["flagged"] == 0
    assert {move["limit"]: (move["flagged"], move["turned"]) for move in rule["moves"]} == {4: (4, 4), 6: (0, 0)}


def test_an_excerpt_keeps_its_place_in_view() -> None:
    text = "word " * 40 + "LOOP LOOP" + " word" * 40
    assert ">>LOOP LOOP<<" in excerpt(text, Place(200, 209))
    assert cell_len(excerpt("红色真皮单肩包" * 20, Place(20, 60))) <= 74
    assert excerpt("short") == "short"
