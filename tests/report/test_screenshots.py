"""Pictures of the page for the docs: all of them, small enough, of what they are called."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser
from report_run import FinishedRun

from screenshots import MAX_BYTES, WIDE, shoot


def test_every_picture_is_taken_and_small_enough(
    browser: Browser, finished_run: FinishedRun, page: str, tmp_path: Path
) -> None:
    made = {path.stem: path for path in shoot(browser, finished_run.run.report_path, tmp_path / "images", scale=1)}
    assert set(made) == {f"report-{name}" for name in ("verdict", "gallery", "checkpoints", "dark", "phone")}
    assert all(path.stat().st_size <= MAX_BYTES for path in made.values())
    colours = {}
    for name, path in made.items():
        with Image.open(path) as image:
            assert image.format == "WEBP"
            colours[name] = image.convert("L").resize((1, 1)).tobytes()[0]
            assert name == "report-phone" or image.width == WIDE[0]
    assert colours["report-dark"] < 100 < colours["report-verdict"]
