"""Steps of a reader through the page, for tests in a browser."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page
from tests.browsing import Opened

SHOWN = "#gallery > [data-kind]:visible"
CSV: Final = "#gallery-csv"
COLUMNS: Final = (
    "row_id", "split", "name", "title", "category", "kind", "checkpoint", "prompt", "right", "verdict", "answer",
)  # fmt: skip


def opened_ready(browser: Browser, path: Path, **options: Any) -> Opened:
    """Open a page whose script has found all that it looks for."""
    opened = Opened(browser, path, **options)
    opened.page.wait_for_selector("html[data-ready]", state="attached")
    return opened


def choose(page: Page, facet: str, value: str) -> None:
    page.locator(f"#gallery-filter label:has(input[name={facet}][value='{value}'])").click()


def draw_all(page: Page) -> None:
    """Have everything drawn that otherwise waits until it comes into sight, as before printing."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")


def drawn(page: Page) -> None:
    """Wait until the script has drawn what belongs to the images in sight."""
    page.locator("[data-drawn]:visible").first.wait_for()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def ids(page: Page) -> list[str]:
    return [str(card.get_attribute("id")) for card in page.locator(SHOWN).all()]


def downloaded(page: Page) -> str:
    """What the page saves as CSV, byte for byte."""
    with page.expect_download() as saved:
        page.locator(CSV).click()
    assert saved.value.suggested_filename == "predictions.csv"
    return saved.value.path().read_bytes().decode("utf-8")


def rows_of(text: str) -> Iterator[dict[str, str]]:
    """Its lines, read as strictly as RFC 4180 is written."""
    assert text.startswith("\ufeff"), "without the mark, Excel takes UTF-8 for something else"
    ends = re.findall(r"[\r\n]+", re.sub(r'"[^"]*"', "", text))
    header, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    assert ends == ["\r\n"] * (1 + len(lines))
    assert tuple(header) == COLUMNS
    for line in lines:
        yield dict(zip(COLUMNS, line, strict=True))
