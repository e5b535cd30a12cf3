"""How long the page of a large run takes to write, how large it is, and how soon a browser lets one work with it.

    python benchmarks/report.py --json     1,000 test images (and as many of validation), base and 20 checkpoints
    python benchmarks/report.py --quick    60 images, 3 checkpoints: the way, not the result

Rows, photographs (1,000 pixels square, noise at all scales) and answers are made up; everything else is the page that
`nameplate run` ends with. Every model answered both questions about every image of both splits, which is more than
`score.test: chosen` asks. Opening is measured in headless Chromium, from a file, in a fresh profile each time:
`interactive` is until the gallery's script has run, `filtered` from a click on a filter until it has taken effect.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from figures import machine, markdown, rounded
from nameplate.report import write_report
from report_rows import MadeUp, make_run

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPENED = 5


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        made = make_run(
            Path(folder), num_images=options.images, num_checkpoints=options.checkpoints, num_names=options.names
        )
        figures = rounded(measure(made, options))
    print(markdown(("figure", "value"), _rows(figures)))
    if options.json:
        print(json.dumps(figures))


def measure(made: MadeUp, options: argparse.Namespace) -> dict[str, Any]:
    """Every figure of the table."""
    seconds, processor = [], []
    for _ in range(2):
        started, busy = time.perf_counter(), time.process_time()
        path = write_report(made.summary, run=made.run, recipe_yaml="a: 1\n", command="nameplate run recipe.yaml")
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - busy)
    return {
        "benchmark": "report",
        "machine": machine(),
        "images": options.images,
        "checkpoints": options.checkpoints,
        "render_seconds": seconds[0],
        "render_cpu_seconds": processor[0],
        "again_seconds": seconds[1],
        "again_cpu_seconds": processor[1],
        "bytes": path.stat().st_size,
        "cards": path.read_text(encoding="utf-8").count('class="card '),
        **_opening(path),
    }


def _opening(path: Path) -> dict[str, Any]:
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit(f"none of {', '.join(PROGRAMS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        times = [_open(browser, path) for _ in range(OPENED)]
        browser.close()
    return {name: statistics.median(each[name] for each in times) for name in times[0]}


def _open(browser: Browser, path: Path) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached")
    interactive = time.perf_counter() - started
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0") / 1_000
    status = page.locator("#gallery-status").inner_text()
    started = time.perf_counter()
    page.locator("#gallery-filter label:has(input[value=fixed])").click()
    page.wait_for_function("was => document.getElementById('gallery-status').textContent !== was", arg=status)
    filtered = time.perf_counter() - started
    context.close()
    return {
        "painted_seconds": painted,
        "interactive_seconds": interactive,
        "filtered_seconds": filtered,
    }


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("test images, checkpoints beside the base", f"{figures['images']:,}, {figures['checkpoints']}"),
        ("images in the page", f"{figures['cards']:,}"),
        ("time to write it, processor time", _both(figures, "render")),
        ("the same again, thumbnails being known", _both(figures, "again")),
        ("size", f"{figures['bytes'] / 1e6:.1f} MB"),
        ("first paint", f"{figures['painted_seconds']:.2f} s"),
        ("until it can be worked with", f"{figures['interactive_seconds']:.2f} s"),
        ("until a filter has taken effect", f"{figures['filtered_seconds']:.2f} s"),
    ]


def _both(figures: dict[str, Any], name: str) -> str:
    return f"{figures[f'{name}_seconds']:.2g} s, {figures[f'{name}_cpu_seconds']:.2g} s"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000, help="test images, and as many of validation")
    parser.add_argument("--checkpoints", type=int, default=20, help="checkpoints beside the base")
    parser.add_argument("--names", type=int, default=200, help="names in the registry")
    parser.add_argument("--quick", action="store_true", help="60 images, 3 checkpoints")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if options.quick:
        options.images, options.checkpoints, options.names = 60, 3, 20
    return options


if __name__ == "__main__":
    main()
