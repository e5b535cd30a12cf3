"""The page in a real browser: silent, self-contained, narrow enough, and its filter works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from report_run import FinishedRun

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        reason = f"none of {', '.join(names)} is installed: the page was not opened in a browser"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


class Opened:
    """An open page and everything it complained about or asked for."""

    def __init__(
        self, browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light", **options: bool
    ) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # a plain str here, a Literal there
            **options,  # type: ignore[arg-type]  # only java_script_enabled is given
        )
        self.page: Page = context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture
def path(finished_run: FinishedRun, page: str) -> Path:
    return finished_run.run.report_path


def test_the_page_is_silent_and_asks_the_network_for_nothing(browser: Browser, path: Path) -> None:
    opened = Opened(browser, path)
    opened.page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    opened.page.wait_for_load_state("networkidle")
    assert opened.troubles == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
    broken = opened.page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).length")
    assert broken == 0


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser: Browser, path: Path, tmp_path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    attacked = tmp_path / "attacked.html"
    attacked.write_text(page.replace("<footer>", "<script>alert(3)</script><footer>"), encoding="utf-8")
    opened = Opened(browser, attacked)
    assert any("Content Security Policy" in trouble for trouble in opened.troubles)
    assert "3" not in opened.troubles


@pytest.mark.parametrize("width", [400, 700, 1280])
def test_nothing_sticks_out_at_the_side(browser: Browser, path: Path, width: int) -> None:
    page = Opened(browser, path, width=width).page
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_filter_shows_one_kind_and_says_how_many(browser: Browser, path: Path) -> None:
    page = Opened(browser, path).page
    cards = page.locator("#gallery > [data-kind]")
    total = cards.count()
    wanted = page.locator("#gallery > [data-kind=still_wrong]").count()
    assert 0 < wanted < total
    page.locator("#gallery-filter label", has_text="Still wrong").click()
    assert page.locator("#gallery > [data-kind]:visible").count() == wanted
    assert page.locator("#gallery > [data-kind=still_wrong]:visible").count() == wanted
    assert page.locator("#gallery-status").inner_text() == f"Showing {wanted} of {total} images."
    page.locator("#gallery-filter label", has_text="All").click()
    assert page.locator("#gallery > [data-kind]:visible").count() == total


def test_without_scripts_every_card_is_there_and_no_dead_filter(browser: Browser, path: Path) -> None:
    page = Opened(browser, path, java_script_enabled=False).page
    assert page.locator("#gallery > [data-kind]:visible").count() == 24
    assert not page.locator("#gallery-filter").is_visible()


def test_dark_and_light_differ_in_paper_ink_and_charts(browser: Browser, path: Path) -> None:
    looks = {}
    for scheme in ("light", "dark"):
        page = Opened(browser, path, scheme=scheme).page
        looks[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('svg.chart text')).fill]"
        )
    assert all(light != dark for light, dark in zip(looks["light"], looks["dark"], strict=True))


CONTRAST = """() => {
  const channel = c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = rgb => { const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number);
    return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b); };
  const under = node => { for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour; } return 'rgb(255, 255, 255)'; };
  const poor = [];
  for (const node of document.querySelectorAll('p,h1,h2,h3,td,th,dd,dt,li,a,mark,summary,figcaption,span')) {
    if (!node.textContent.trim() || node.closest('label:has(:disabled)')) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(under(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push([node.className, node.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_enough_to_read(browser: Browser, path: Path, scheme: str) -> None:
    assert Opened(browser, path, scheme=scheme).page.evaluate(CONTRAST) == []


def test_printing_unfolds_the_captions_and_folds_them_again(browser: Browser, path: Path) -> None:
    page = Opened(browser, path).page
    count = page.locator("details.print").count()
    assert count > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.print[open]").count() == count
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.print[open]").count() == 0
