"""Planned over measured processor seconds, plan and training in turns in one process and on one thread.

    python benchmarks/plan_turns.py                        five presets, three turns each, the model of plan.py
    python benchmarks/plan_turns.py --small --presets everything projector-only --turns 9
                                                           what tests/models/plan/test_time.py runs

Processor time of one thread is disturbed least by what else runs, and what follows closely upon another is disturbed
alike. Each turn and preset is printed as a line of JSON when it is done; the last line is a table of the medians. The
first epoch is left out, as in plan.py, whose model has 49 million parameters; the small one has 13 million.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from figures import markdown
from nameplate.models.plan import probe
from nameplate.recipe import PRESETS
from plan import BATCH, EPOCHS, ROWS, epoch_seconds, plan_here, recipe_of, train_here
from train_shop import FULL, Size, captions, write_model, write_run

SMALL = Size(4, 256, 4, 384, 224)
SMALL_BATCH, SMALL_ROWS = 8, 16


def main() -> None:
    """Plan, train, print, and again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a small model, and two steps an epoch")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    probe.clock = time.process_time
    batch_size, rows = (SMALL_BATCH, SMALL_ROWS) if options.small else (BATCH, ROWS)
    ratios: dict[str, list[float]] = {preset: [] for preset in options.presets}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_model(work / "model", SMALL if options.small else FULL)
        write_run(work / "run", captions(rows, fewest=30, most=110))
        for _ in range(options.turns):
            for preset in options.presets:
                ratios[preset].append(turn(work, preset, batch_size=batch_size))
    print(
        markdown(("preset", "planned over measured"), [(name, f"{median(each):.2f}") for name, each in ratios.items()])
    )


def turn(work: Path, preset: str, *, batch_size: int) -> float:
    """One plan and one training; planned over measured."""
    recipe = recipe_of(work, preset, batch_size=batch_size)
    planned = plan_here(recipe, work / "run").seconds / EPOCHS
    measured = epoch_seconds(train_here(recipe, work / "run", now=time.process_time))
    print(json.dumps({"preset": preset, "planned": planned, "measured": measured}), flush=True)
    return planned / measured


if __name__ == "__main__":
    main()
