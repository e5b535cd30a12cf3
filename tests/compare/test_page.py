"""The page of a comparison: self-contained, escaped, and readable in a browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.compare.scored import said, scored_run, true_names
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
        scored_run(folder / f"{name} <b>", run, names=NAMES, products=[f"p{place // 2}" for place in range(60)])
    out = folder / "page.html"
    words = [str(folder / f"{name} <b>") for name in ("first", "second", "third")]
    done = CliRunner().invoke(app, ["compare", *words, "--page", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_the_page_says_what_the_terminal_says_and_needs_nothing(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert "second &lt;b&gt; gets 28 of 60 test images right (46.7%), first &lt;b&gt; 20 (33.3%)" in page
    assert "Fixed by one or more" in page and "60 images show 30 products" in page
    assert page.count('<li class="card ') == 60 and page.count("data:image/webp;base64,") == 60
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert HOSTILE not in page and "alert(2)</script>" not in page and "<b>" not in page


def test_each_image_is_of_one_kind(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    kinds = re.findall(r'data-kind="(\w+)"', page)
    assert set(kinds) == {"fixed", "regressed", "still_wrong", "right_both"}
    tallies = re.search(r"Fixed by one or more: (\d+) of (\d+) shown", page)
    assert tallies is not None and tallies[1] == tallies[2] == str(kinds.count("fixed"))


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
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_it_opens_silently_at_any_width_and_the_filter_works(
    browser: Browser, path: Path, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]  # a plain str here, a Literal there
    )
    page, troubles, requests = context.new_page(), [], []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: troubles.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("label", has_text="Lost by one or more").click()
    shown = page.locator("#gallery > li:visible")
    assert shown.count() > 0
    assert page.locator("#gallery > li.regressed:visible").count() == shown.count()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == [] and troubles == []
    context.close()
