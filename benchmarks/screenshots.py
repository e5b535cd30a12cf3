"""Pictures of a page for the docs: the verdict, the gallery, the dark page, and the page on a phone.

    python benchmarks/screenshots.py runs/first/report.html docs/images

Each is a WebP of at most 300 kB: without loss where that is enough, else at the best quality that is. They are
`report-verdict`, `report-gallery`, `report-dark`, `report-phone`, and, of a run with more than one checkpoint,
`report-checkpoints`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
MAX_BYTES = 300_000
QUALITIES = (95, 90, 85, 80, 70, 60, 50)
GAP = 48
PAPER = (255, 255, 255)
WIDE = (1280, 880)
PHONE = (390, 800)
_PAINTED = """() => [...document.images].every(image => {
  const { top, bottom } = image.getBoundingClientRect();
  return image.complete || bottom < 0 || top > innerHeight || !image.checkVisibility();
})"""


def main() -> None:
    """Take them and say where they are."""
    options = _options()
    if not options.page.is_file():
        sys.exit(f"{options.page}: no such page; give the report.html of a run")
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit(f"none of {', '.join(PROGRAMS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for path in shoot(browser, options.page, options.folder):
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
        browser.close()


def shoot(browser: Browser, path: Path, folder: Path, *, scale: float = 2) -> list[Path]:
    """All pictures of the page at `path`, with so many pixels for each of the page's."""
    folder.mkdir(parents=True, exist_ok=True)
    wide, dark, phone = (
        _open(browser, path, *how, scale) for how in ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light"))
    )
    pictures = {"verdict": _view(wide, "body"), "gallery": _view(wide, "#gallery-filter")}
    if wide.locator("#gallery-rest").count():
        wide.locator("label:has(input[name=split][value=validation])").click()
        pictures["checkpoints"] = _view(wide, "#gallery-filter", wait_for=".columns.many:visible")
    pictures["dark"] = _view(dark, "#curves")
    pictures["phone"] = _beside([_view(phone, place) for place in ("body", "#curves", "#gallery")])
    return [_save(picture, folder / f"report-{name}.webp") for name, picture in pictures.items()]


def _open(browser: Browser, path: Path, size: tuple[int, int], scheme: str, scale: float) -> Page:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,  # type: ignore[arg-type]  # a plain str here, a Literal there
        device_scale_factor=scale,
    )
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def _view(page: Page, place: str, *, wait_for: str = "") -> Image.Image:
    """What is on the screen when the page is scrolled to a place."""
    page.locator(place).evaluate("node => { node.scrollIntoView(); scrollBy(0, -16); }")
    if wait_for:
        page.locator(wait_for).first.wait_for()
    page.wait_for_function(_PAINTED)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def _beside(pictures: Sequence[Image.Image]) -> Image.Image:
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, max(picture.height for picture in pictures)), PAPER)
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    return sheet


def _save(picture: Image.Image, path: Path) -> Path:
    for how in ({"lossless": True, "quality": 80}, *({"quality": quality} for quality in QUALITIES)):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", method=4, **how)
        if buffer.tell() <= MAX_BYTES:
            break
    path.write_bytes(buffer.getvalue())
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="report.html of a run")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
