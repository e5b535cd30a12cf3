"""The answers of the page as a table to take away: those that the filters show, and nothing that would run."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser
from report_run import EPOCHS, FinishedRun, build_run
from tests.browsing import Opened
from walking import CSV, choose, downloaded, draw_all, ids, opened_ready, rows_of

MODELS = tuple(EPOCHS)


@pytest.fixture
def path(finished_run: FinishedRun, page: str) -> Path:
    return finished_run.run.report_path


def test_every_answer_of_every_model_about_the_images_shown_is_there(
    browser: Browser, path: Path, finished_run: FinishedRun
) -> None:
    opened = opened_ready(browser, path)
    choose(opened.page, "split", "validation")
    rows = list(rows_of(downloaded(opened.page)))
    assert list(dict.fromkeys(row["row_id"] for row in rows)) == [
        each.removeprefix("row=") for each in ids(opened.page)
    ]
    said = {(p["row_id"], p["checkpoint"], p["prompt"]): p for p in finished_run.predictions}
    listed = {row["row_id"]: row for row in finished_run.run.tables("split").read_kept().to_pylist()}
    models = defaultdict(list)
    for row in rows:
        models[row["row_id"], row["prompt"]].append(row["checkpoint"])
        prediction, listing = said.pop((row["row_id"], row["checkpoint"], row["prompt"])), listed[row["row_id"]]
        assert row["answer"] == prediction["answer"].strip()
        assert row["right"] == ("true" if prediction["right"] else "false")
        assert row["verdict"].startswith("exact" if prediction["right"] else ("another name: ", "no known name"))
        assert row["verdict"].endswith("; cut off") == (prediction["finish"] == "length")
        assert (row["name"], row["split"]) == (prediction["name"], "validation")
        assert (row["title"], row["category"]) == (listing["title"], listing["category"])
        assert set(row["kind"].split()) <= {"fixed", "regressed", "flip_flop", "still_wrong", "right_both"}
    assert set(map(tuple, models.values())) == {MODELS}
    assert {p["split"] for p in said.values()} == {"test"}, "not one of validation is left out"
    assert opened.troubles == opened.foreign == []


def test_the_table_follows_the_filters_whatever_was_drawn_before(browser: Browser, path: Path) -> None:
    page = opened_ready(browser, path).page
    for kind in ("fixed", "still_wrong"):
        choose(page, "kind", kind)
        rows = list(rows_of(downloaded(page)))
        assert {row["row_id"] for row in rows} == {each.removeprefix("row=") for each in ids(page)}
        assert all(kind in row["kind"].split() for row in rows)
    undrawn = downloaded(page)
    draw_all(page)
    assert downloaded(page) == undrawn
    page.locator("#gallery-filter input[type=search]").fill("no such words")
    assert page.locator(CSV).is_disabled()


def test_no_answer_and_an_answer_that_could_not_be_judged_say_so(browser: Browser, tmp_path: Path) -> None:
    """Of a model that stands on the page and of one that is packed."""
    finished = build_run(tmp_path)
    path = finished.run.folder("score") / "predictions.parquet"
    rows = pq.read_table(path).to_pylist()
    row_id = next(row["row_id"] for row in rows if row["split"] == "validation")
    ends = {"name": "stop", "detail": "failed"}
    for row in rows:
        if row["row_id"] == row_id:
            row |= {"answer": "", "right": False, "verdict": "absent", "finish": ends[row["prompt"]]}
    pq.write_table(pa.Table.from_pylist(rows), path)
    finished.write()
    page = opened_ready(browser, finished.run.report_path).page
    choose(page, "split", "validation")
    said = [row for row in rows_of(downloaded(page)) if row["row_id"] == row_id]
    assert [row["checkpoint"] for row in said] == [model for model in MODELS for _ in ends]
    for row in said:
        judged = ("false", "no known name", "") if row["prompt"] == "name" else ("", "not scored; failed", "")
        assert (row["right"], row["verdict"], row["answer"]) == judged


def test_without_scripts_nothing_promises_a_table(browser: Browser, path: Path) -> None:
    page = Opened(browser, path, java_script_enabled=False).page
    assert page.locator(CSV).count() == 1
    assert not page.locator(CSV).is_visible()


def test_a_browser_that_cannot_unpack_all_answers_offers_no_table_of_some(browser: Browser, path: Path) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator("#gallery-filter").is_visible()
    assert not page.locator(CSV).is_visible()
