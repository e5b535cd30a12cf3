"""Images a second of scoring's answers, beside transformers' `generate` in batches and one at a time.

    python benchmarks/score.py --json                        what docs/scoring-speed.md shows (about 25 minutes)
    python benchmarks/score.py --quick                       the way, not the result (under a minute)
    python benchmarks/score.py --images 96 --rounds 1 --endings never

A random InternVL of about 50 million parameters (the one of benchmarks/train.py) answers the detail question about
JPEG files, at most 48 tokens each. All sides start from files and have the model loaded; ours ends with answers in a
journal. Each round is another part of the images, and the sides take turns in it. The batch size of `generate` is the
best of `--batch-sizes` on the first 64 images. `tower known`: another checkpoint with the same frozen vision tower was
asked before, as for all models but the first where a policy leaves the tower frozen; what it saw is read from disk.

`never`: the weights are as drawn, no answer ends by itself, and each costs 48 tokens. `early`: weights are larger, so
that answers differ, and a token that is said about half way through stands for the end of turn.

In float32 texts must be the same; bfloat16 is shown beside it where the processor has it. `cpu` is processor time of an
image, all threads: of all figures the one that other work on the machine disturbs least. The last line is the closed
set: the likelihoods of 200 names, whole, about the same images, from files.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers.utils import logging

from figures import machine, markdown, rounded
from nameplate.models.images import ImageKey
from nameplate.models.load import load_model
from score_sides import Bench, Spent, closed_set, library, ours, ours_again, written
from train_shop import FULL, QUICK, captions, write_model, write_run

_TRIAL = 64
_NEVER_SAID = -1
_LOUDER = 3.0
"""Times the language model's matrices, where answers shall differ and end."""
_SIDES = {
    "ours": "Nameplate",
    "again": "Nameplate, tower known",
    "batched": "generate, batches",
    "alone": "generate, one at a time",
    "names": "200 names",
}

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(options.threads)
    # An end of turn that no token is, is what is wanted here.
    logging.set_verbosity_error()
    figures = rounded(measure(options))
    for case in figures["cases"]:
        print(f"\n{case['dtype']}, answers that end {case['endings']}:\n\n{table(case)}")
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> Row:
    """Every figure of the tables, as one JSON object."""
    num_images = 24 if options.quick else options.images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_parameters = write_model(folder / "model", QUICK if options.quick else FULL)
        run = write_run(folder / "run", captions(num_images, fewest=5, most=9))
        keys = [ImageKey(row["image_sha256"], row["image_ext"]) for row in run.tables("split").read_kept().to_pylist()]
        cases = []
        for dtype in options.dtypes:
            bench = Bench(load_model(str(folder / "model"), dtype=getattr(torch, dtype)), run, options.tokens)
            for endings in options.endings:
                cases.append(_case(bench, keys, endings, options) | {"dtype": dtype, "endings": endings})
    return {
        "benchmark": "score",
        "quick": options.quick,
        "machine": machine(),
        "threads": options.threads,
        "rounds": options.rounds,
        "parameters": num_parameters,
        "images": num_images,
        "max_new_tokens": options.tokens,
        "names": options.names,
        "cases": cases,
    }


def _case(bench: Bench, keys: Sequence[ImageKey], endings: str, options: argparse.Namespace) -> Row:
    _set_ending(bench, keys, endings)
    batch_size = _best(bench, keys, options.batch_sizes)
    names = [name.removesuffix(".") for name in captions(options.names, fewest=1, most=3, seed=7)]
    rounds: list[dict[str, Spent]] = []
    for number in range(1 if options.quick else options.rounds):
        part = keys[number :: 1 if options.quick else options.rounds]
        spent = {
            "ours": ours(bench, part),
            "again": ours_again(bench, part),
            "batched": library(bench, part, batch_size),
        }
        if not options.not_alone:
            spent["alone"] = library(bench, part, 1)
        spent["names"] = closed_set(bench, part, names)
        rounds.append(spent)
    row: Row = {"batch_size": batch_size, "sides": {side: _figures(rounds, side) for side in rounds[0]}}
    row["ratios"] = {
        side: {kind: _ratio(rounds, side, f"{kind}_seconds") for kind in ("wall", "cpu")}
        for side in rounds[0]
        if side != "ours"
    }
    row["ratios_of_again"] = {
        side: {kind: _ratio(rounds, side, f"{kind}_seconds", to="again") for kind in ("wall", "cpu")}
        for side in ("batched", "alone")
        if side in rounds[0]
    }
    row["same_texts"] = {side: _same(rounds, side) for side in ("again", "batched", "alone") if side in rounds[0]}
    return row


def _set_ending(bench: Bench, keys: Sequence[ImageKey], endings: str) -> None:
    """Make the wished-for token the end of turn; `early` comes after `never`, for it changes the weights."""
    processor: Any = bench.loaded.processor
    processor.end_id = _NEVER_SAID
    if endings == "never":
        return
    model: Any = bench.loaded.model
    with torch.no_grad():
        for parameter in model.base_model.language_model.layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(_LOUDER)
    texts = written(bench, keys[:_TRIAL])
    found = {token for ids in texts for token in ids}
    half = bench.max_new_tokens / 2
    processor.end_id = min(found, key=lambda token: abs(_mean_length(texts, token) - half))


def _mean_length(texts: Sequence[list[int]], token: int) -> float:
    return sum(ids.index(token) + 1 if token in ids else len(ids) for ids in texts) / len(texts)


def _best(bench: Bench, keys: Sequence[ImageKey], sizes: Sequence[int]) -> int:
    trial = keys[:_TRIAL]
    fitting = [size for size in sizes if size <= len(trial)] or [len(trial)]
    return min(fitting, key=lambda size: library(bench, trial, size).wall_seconds)


def _figures(rounds: Sequence[dict[str, Spent]], side: str) -> Row:
    count = sum(len(each[side].texts) for each in rounds)
    return {
        "images_per_second": count / sum(each[side].wall_seconds for each in rounds),
        "cpu_ms": 1000 * sum(each[side].cpu_seconds for each in rounds) / count,
    }


def _ratio(rounds: Sequence[dict[str, Spent]], side: str, kind: str, *, to: str = "ours") -> float:
    return median(getattr(each[side], kind) / getattr(each[to], kind) for each in rounds)


def _same(rounds: Sequence[dict[str, Spent]], side: str) -> int:
    return sum(one == other for each in rounds for one, other in zip(each["ours"].texts, each[side].texts, strict=True))


def table(case: Row) -> str:
    """As docs/scoring-speed.md holds it."""
    rows = []
    for side, found in case["sides"].items():
        name = _SIDES[side] + (f" of {case['batch_size']}" if side == "batched" else "")
        ratio = case["ratios"].get(side)
        times = [f"{ratio[kind]:.2f}x" for kind in ("wall", "cpu")] if ratio else ["", ""]
        again = case["ratios_of_again"].get(side)
        times.append(f"{again['wall']:.2f}x" if again else "")
        same = str(case["same_texts"].get(side, ""))
        rows.append([name, f"{found['images_per_second']:.2f}", f"{found['cpu_ms']:.0f}", *times, same])
    headings = ["side", "images a second", "cpu, ms", "our time, times", "our cpu, times", "tower known", "same texts"]
    return markdown(headings, rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small model, 24 images, one round")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--images", type=int, default=600, help="images in all (default 600)")
    parser.add_argument("--rounds", type=int, default=3, help="parts of the images, sides in turn (default 3)")
    parser.add_argument("--tokens", type=int, default=48, help="longest answer (default 48)")
    parser.add_argument("--names", type=int, default=200, help="of the closed set (default 200)")
    parser.add_argument("--endings", nargs="+", choices=["never", "early"], default=["never", "early"])
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 32, 64], help="of generate, to choose from")
    parser.add_argument("--not-alone", action="store_true", help="leave out one at a time, the slowest")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


if __name__ == "__main__":
    main()
