"""Steps of a reader through the page, for tests in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from tests.browsing import Opened

SHOWN = "#gallery > [data-kind]:visible"


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
