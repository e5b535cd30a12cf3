"""The estimate before a run: real answers, paid once; means with intervals; what the budget allows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.cli.captioning import estimate_lines
from nameplate.pipeline import Pipeline
from nameplate.recipe import CaptionSection, load_recipe
from nameplate.stages.caption import estimate as estimates
from nameplate.stages.caption.estimate import as_line, build_estimate, mean
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

from .bad_teacher import BadTeacher, serving_badly
from .eighteen import drawing

NUM_ROWS = 30


class Notes:
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def task(self, label: str, total: int | None) -> Notes:
        return self

    def advance(self, steps: int = 1) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def teacher() -> Iterator[BadTeacher]:
    # Even numbers are well; what the others do wrong is not the matter here.
    with serving_badly([drawing(number) for number in range(NUM_ROWS)], ["Puma", "Nike"] * (NUM_ROWS // 2)) as served:
        for row in served.rows.values():
            object.__setattr__(row, "fault", "")
            object.__setattr__(row, "heals", "at once")
        yield served


def write_recipe(folder: Path, teacher: BadTeacher, **caption: Any) -> Path:
    rows = [
        {"brand": ("Puma", "Nike")[number % 2], "image": {"bytes": drawing(number), "path": None}}
        for number in range(NUM_ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    section = {"teacher": {"base_urls": teacher.url, "model": "m", "concurrency": 5}, **caption}
    tree = {"table": {"source": "table.parquet", "image": "image"}, "caption": section}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def nameplate(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_a_few_rows_are_asked_once_and_the_run_does_not_ask_them_again(tmp_path: Path, teacher: BadTeacher) -> None:
    recipe, run = write_recipe(tmp_path, teacher), str(tmp_path / "run")
    first = json.loads(nameplate("caption", str(recipe), "--run-dir", run, "--estimate", "10", "--json"))
    assert len(teacher.log) == 10
    assert (first["rows"], first["sampled"], first["concurrency"]) == (NUM_ROWS, 10, 5)
    assert first["tokens_in"] == {"value": 300, "low": 300, "high": 300}
    assert first["tokens"]["value"] == NUM_ROWS * 350
    assert first["hours"]["value"] == pytest.approx(first["seconds"]["value"] * NUM_ROWS / 5 / 3600)
    again = nameplate("caption", str(recipe), "--run-dir", run, "--estimate", "10")
    assert len(teacher.log) == 10 and "no budget is set" in again and f"10 of {NUM_ROWS} rows asked" in again
    more = json.loads(nameplate("caption", str(recipe), "--run-dir", run, "--estimate", "15", "--json"))
    assert len(teacher.log) == 15 and more["sampled"] == 15
    nameplate("caption", str(recipe), "--run-dir", run)
    assert len(teacher.log) == NUM_ROWS == len({each.body for each in teacher.log})


def test_more_rows_than_there_are_is_all_of_them(tmp_path: Path, teacher: BadTeacher) -> None:
    recipe = write_recipe(tmp_path, teacher)
    found = json.loads(
        nameplate("caption", str(recipe), "--run-dir", str(tmp_path / "run"), "--estimate", "99", "--json")
    )
    assert found["sampled"] == found["rows"] == NUM_ROWS


def test_estimate_of_captions_from_a_table_is_refused(tmp_path: Path, teacher: BadTeacher) -> None:
    recipe = write_recipe(tmp_path, teacher, source="table")
    done = CliRunner().invoke(app, ["caption", str(recipe), "--estimate", "5", "--set", "table.text=brand"])
    assert done.exit_code == 2 and "nothing to estimate" in done.output


def test_a_long_table_is_estimated_without_being_told_to(
    tmp_path: Path, teacher: BadTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "MANY_ROWS", NUM_ROWS)
    recipe, notes = load_recipe(write_recipe(tmp_path, teacher)), Notes()
    directory = RunDirectory(tmp_path / "run", store=None)
    Pipeline(recipe, directory, progress=notes).run(until="caption")
    (line,) = [
        said for said in notes.said if said.startswith("caption: by 20 rows, 30 will take about 0.0 million tokens")
    ]
    assert "with 5 questions at once" in line
    assert len(teacher.log) == NUM_ROWS
    with Journal(directory.teacher_journal) as journal:
        assert len(list(journal.items())) >= NUM_ROWS


def entry(tokens_in: int, tokens_out: int, ms: int, *problems: str) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
    return {"usage": usage, "latency_ms": ms, "problems": list(problems)}


def section(**budget: Any) -> CaptionSection:
    prices = {"price_per_million_in": 2.0, "price_per_million_out": 10.0}
    return CaptionSection(teacher={"concurrency": 10}, budget={**prices, **budget})  # type: ignore[arg-type]


SAMPLE = [[entry(100, 20, 1000)], [entry(100, 200, 3000, "tail_loop"), entry(100, 30, 1000)], []]


def test_all_attempts_of_a_row_count_and_rows_without_an_answer_are_said() -> None:
    found = build_estimate(SAMPLE, [], section=section(), rows=1000)
    assert (found.sampled, found.unanswered, found.answers.value) == (3, 1, 1.5)
    assert (found.tokens_in.value, found.tokens_out.value, found.seconds.value) == (150, 125, 2.5)
    assert found.money.value == pytest.approx((300 * 2 + 250 * 10) / 2 / 1e6)
    assert found.hours.value == pytest.approx(2.5 * 1000 / 10 / 3600)
    assert found.answers_per_hour == pytest.approx(10 * 3600 / 2.5 * 1.5)
    assert (found.abnormal.count, found.abnormal.n) == (1, 2)
    assert "1 got no answer" in "\n".join(estimate_lines(found)) and "million tokens" in as_line(found)
    assert all(len(line) <= 80 for line in estimate_lines(found))


@pytest.mark.parametrize(
    ("budget", "rows", "words"),
    [
        ({}, None, "no budget is set"),
        ({"max_tokens": 275_000}, 1000, "all of them"),
        ({"max_tokens": 27_500}, 100, "not all 1,000"),
        ({"max_tokens": 275_000, "max_money": 0.156}, 100, "not all 1,000"),
    ],
)
def test_budget_is_told_in_rows(budget: dict[str, Any], rows: int | None, words: str) -> None:
    found = build_estimate(SAMPLE, [], section=section(**budget), rows=1000)
    assert found.rows_in_budget == rows
    assert words in "\n".join(estimate_lines(found))


def test_interval_of_a_mean_is_students() -> None:
    # By hand: mean 3, standard deviation sqrt(2.5), t(4, 97.5 %) = 2.7764.
    found = mean([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764 * math.sqrt(2.5) / math.sqrt(5)
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3 - half, 3 + half), abs=1e-3)


def test_one_row_bounds_nothing_and_none_says_nothing() -> None:
    assert (mean([7.0]).low, mean([7.0]).high) == (0.0, math.inf)
    nothing = build_estimate([[]], [], section=section(), rows=10)
    assert nothing.tokens.value == 0 and nothing.answers_per_hour == 0 and list(estimate_lines(nothing))


def test_known_teachers_are_listed() -> None:
    listed = json.loads(nameplate("presets", "--teachers", "--json"))["teachers"]
    assert {"name", "model", "reading", "sampling", "longest_side", "inferred", "note"} <= listed[0].keys()
    text = nameplate("presets", "--teachers")
    assert all(preset["name"] in text and preset["model"] in text for preset in listed)
