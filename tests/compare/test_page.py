"""The page of a comparison: self-contained, escaped, and readable in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.browsing import CONTRAST, Opened
from tests.compare.scored import probed, said, scored_run, trained, true_names
from tests.stages.probe_figures import summary_of
from typer.testing import CliRunner

from nameplate.cli.app import app

HOSTILE = "<img src=x onerror=alert(1)>"
NAMES = true_names(60)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    first, second = said("x" * 20 + "." * 40, NAMES), said("x" * 16 + "." * 4 + "x" * 12 + "." * 28, NAMES)
    second[59] = HOSTILE + "</script><script>alert(2)</script>"
    for name, answers in (("first", first), ("second", second), ("third", first[::-1])):
        run = {"base": said("." * 60, NAMES), "epoch-05": answers}
        root = scored_run(folder / f"{name} <b>", run, names=NAMES, products=[f"p{place // 2}" for place in range(60)])
        trained(root, "projector", *(["language"] if name == "second" else []))
    probed(folder / "third <b>", summary_of(0.0, split="one"))
    out = folder / "page.html"
    words = [str(folder / f"{name} <b>") for name in ("first", "second", "third")]
    done = CliRunner().invoke(app, ["compare", *words, "--page", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_the_page_says_what_the_terminal_says_and_needs_nothing(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert "second &lt;b&gt; gets 28 of 60 test images right (46.7%), first &lt;b&gt; 20 (33.3%)" in page
    assert "Fixed by some" in page and "60 images show 30 products" in page
    assert page.count('<li class="card ') == 60 and page.count("data:image/webp;base64,") == 60
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert '<section id="probe"' in page and '<table class="pairs">' in page
    assert HOSTILE not in page and "alert(2)</script>" not in page and "<b>" not in page


def test_each_image_is_of_one_kind(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    kinds = re.findall(r'data-kind="(\w+)"', page)
    assert {"mixed", "fixed", "regressed", "still_wrong"} <= set(kinds)
    tallies = re.search(r"Fixed by some: (\d+) of (\d+) shown", page)
    assert tallies is not None and tallies[1] == tallies[2] == str(kinds.count("mixed"))


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_it_opens_silently_at_any_width_and_the_filter_works(
    browser: Browser, path: Path, width: int, scheme: str
) -> None:
    opened = Opened(browser, path, width=width, scheme=scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("label", has_text="Lost by one or more").click()
    shown = page.locator("#gallery > li:visible")
    assert shown.count() > 0
    assert page.locator("#gallery > li.regressed:visible").count() == shown.count()
    assert page.locator("#gallery-status").text_content() == f"Showing {shown.count()} of 60 images."
    page.locator("#by-model").select_option("1")
    alone = {card.get_attribute("data-right") or "" for card in shown.all()}
    assert alone and {right[:2] for right in alone} == {"10"}
    page.locator("label", has_text="All 60").click()
    page.locator("#by-name").fill("zET")
    assert {card.get_attribute("data-name") for card in shown.all()} == {"Zeta"}
    page.locator("#by-name").fill("no such name")
    assert shown.count() == 0
    assert opened.foreign == [] and opened.troubles == []
    opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, path: Path, scheme: str) -> None:
    opened = Opened(browser, path, scheme=scheme)
    opened.unfold()
    assert opened.page.evaluate(CONTRAST) == []
    opened.context.close()
