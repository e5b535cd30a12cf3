"""The leaderboard's page: whole, silent in a browser, narrow enough, and strangers' texts stay texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.browsing import CONTRAST, Opened
from tests.sweep.made_up import SKILLS, made_up

from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.page import write_sweep_page

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_sweep_page(made_up(), SweepFolder(tmp_path))


def test_a_strangers_text_is_never_markup(tmp_path: Path) -> None:
    page = write_sweep_page(made_up(text=HOSTILE), SweepFolder(tmp_path)).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("{{ 7 * 7 }}") >= 4


def test_a_sweep_without_any_result_has_a_page_too(tmp_path: Path) -> None:
    found = made_up()
    rows = [row for row in found.rows if row.member in ("late", "everything")]
    update = {"rows": rows, "chosen": None, "base": None, "looks": 0, "choice": "No member has a result yet."}
    page = write_sweep_page(found.model_copy(update=update), SweepFolder(tmp_path)).read_text(encoding="utf-8")
    assert "Nothing to choose from yet" in page
    assert "waiting" in page


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (700, "dark"), (1280, "light"), (1280, "dark")])
def test_the_page_is_silent_fits_and_can_be_read(browser: Browser, path: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, path, width=width, scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    opened.page.wait_for_load_state("networkidle")
    assert opened.troubles == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate(CONTRAST) == []


def test_bands_stand_where_their_numbers_say(browser: Browser, path: Path) -> None:
    page, found = Opened(browser, path).page, made_up()
    for place, row in enumerate(found.rows[: len(SKILLS)]):
        assert row.test is not None
        line = page.locator(".matrix tbody tr").nth(place)
        box, dot = line.locator(".track").bounding_box(), line.locator(".track .dot").bounding_box()
        assert box is not None
        assert dot is not None
        middle = (dot["x"] + dot["width"] / 2 - box["x"]) / box["width"]
        assert middle == pytest.approx(row.test.value, abs=0.01)
        if row.comparison is None:
            continue
        zero = page.locator("#compared tbody tr", has_text=row.member).locator(".zero")
        box, dot = zero.bounding_box(), zero.locator(".dot").bounding_box()
        assert box is not None
        assert dot is not None
        right_of_zero = dot["x"] + dot["width"] / 2 > box["x"] + box["width"] / 2
        assert right_of_zero == (row.comparison.difference > 0)
