"""Whether training time per example stays the same where it should, as one thing at a time grows.

    python benchmarks/scaling.py --json      what docs/training-speed.md shows (about eight minutes)
    python benchmarks/scaling.py --quick     the way, not the result (under two minutes)

By our own training stage, projector alone learning unless said, two epochs, no peer.

rows:     1,000 to 100,000 rows of the split table, which share 200 images, a tiny model: seconds a row of everything
          beside the steps (reading, tokenising, planning, start), and seconds an example of the first steps. The stage
          is stopped after `--steps` steps, so that the largest table takes no longer than the others.
words:    captions of 10 to 320 words: time per token should be flat, and attention makes it grow slowly.
tiles:    1 to 12 tiles per image, vision learning: time per tile should be flat.
width:    the language model's width doubled: time per operation should fall or be flat.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import machine, markdown, rounded
from train_arithmetic import step_operations
from train_jobs import POLICIES, Shop, our_job
from train_shop import PICTURE, Size, captions, write_model, write_run
from waiting import wait_as_the_command

TINY = Size(2, 64, 2, 64, 112)
SMALL = Size(4, 192, 4, 256, 112)

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    wait_as_the_command()
    options = _options()
    found = {axis: [_case(axis, value, options) for value in _values(axis, options)] for axis in options.axes}
    for axis, cases in found.items():
        print(f"\n{table(axis, rounded(cases))}")
    if options.json:
        figures = {"benchmark": "scaling", "quick": options.quick, "machine": machine(), "axes": found}
        print(json.dumps(rounded(figures)))


def _values(axis: str, options: argparse.Namespace) -> list[int]:
    full = {
        "rows": [1_000, 10_000, 100_000],
        "words": [10, 40, 160, 320],
        "tiles": [1, 4, 12],
        "width": [128, 256, 512],
    }
    quick = {"rows": [500, 2_000], "words": [10, 40], "tiles": [1, 2], "width": [64, 128]}
    return (quick if options.quick else full)[axis]


def _case(axis: str, value: int, options: argparse.Namespace) -> Row:
    """One training in a folder of its own."""
    size = TINY if axis == "rows" else SMALL
    if axis == "width":
        size = size._replace(language_width=value)
    words = value if axis == "words" else 40
    num_rows = value if axis == "rows" else 24 * options.steps
    picture = (112 * value, 112) if axis == "tiles" else PICTURE
    policy = "language_frozen" if axis == "tiles" else "projector_only"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = captions(num_rows, fewest=words, most=words)
        num_parameters = write_model(folder / "model", size)
        write_run(folder / "run", texts, picture=picture, num_images=min(num_rows, 200))
        shop = Shop(folder / "model", folder / "run", size, num_parameters, texts)
        job = our_job(shop, policy, epochs=2, threads=options.threads, memory={"prefix": "off"})
        job["max_tiles"] = value if axis == "tiles" else 1
        job["stop_after"] = options.steps
        found = _run(folder / "job.json", job)
    tokens = found["tokens"]
    needed = step_operations(
        size, POLICIES[policy], tokens=tokens["all"], answer_tokens=tokens["answer"], tiles=max(1, job["max_tiles"])
    )
    # The first two steps meet shapes for the first time.
    steps = found["steps"]
    seconds = (steps[-1] - steps[1]) / (24 * (len(steps) - 2))
    return {
        axis: value,
        "ms_per_example": 1000 * seconds,
        "us_per_token": 1e6 * seconds / tokens["all"],
        "ns_per_million_operations": 1e15 * seconds / needed.together,
        "start_us_per_row": 1e6 * found["start_seconds"] / num_rows,
        "peak_mb": found["peak_rss_bytes"] / 1e6,
    }


def _run(path: Path, job: Row) -> Row:
    path.write_text(json.dumps(job))
    script = Path(__file__).with_name("train_ours.py")
    environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"])}
    command = [sys.executable, str(script), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script.name} failed: {done.stderr[-3000:]}")
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def table(axis: str, cases: Sequence[Row]) -> str:
    """As docs/training-speed.md holds it."""
    headings = [axis, "ms an example", "us a token", "ns a million operations", "start, us a row", "memory, MB"]
    return markdown(headings, [list(case.values()) for case in cases])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    axes = ["rows", "words", "tiles", "width"]
    parser.add_argument("--quick", action="store_true", help="two small values of each")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--axes", nargs="+", choices=axes, default=axes, help="what grows")
    parser.add_argument("--steps", type=int, default=6, help="steps of 24 examples (default 6)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


if __name__ == "__main__":
    main()
