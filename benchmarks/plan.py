"""Does a training take as long, and as much memory, as `nameplate plan` says? On this machine, in turns.

    python benchmarks/plan.py            five presets, three turns each
    python benchmarks/plan.py --quick    one preset, one turn, a small model: the way, not the result
    python benchmarks/plan_turns.py      processor seconds alone, on one thread: for a machine that others use, too

Each turn plans with a fresh probe and then trains, in a process of its own, the same rows of the same random InternVL
of about 50 million parameters. The first epoch is left out of the time: images are decoded and cached in it, which a
plan does not count. Planned bytes are those of tensors at the highest moment; beside them stands the peak of the
process that trains, which also holds Python, libraries, decoded images and what its allocator keeps.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from figures import machine, markdown
from nameplate.models.plan.estimate import plan_training
from nameplate.models.plan.probe import measure_here
from nameplate.models.plan.results import Plan
from nameplate.models.plan.table import Assumptions
from nameplate.progress import SilentProgress, TaskHandle
from nameplate.recipe import PRESETS, Recipe, build_recipe
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory
from train_shop import FULL, QUICK, captions, write_model, write_run
from waiting import wait_as_the_command

EPOCHS, BATCH, ROWS = 2, 24, 48


def main() -> None:
    """Plan, train, compare."""
    wait_as_the_command()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one preset, one turn, a small model")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--train", nargs=2, type=Path, metavar=("RECIPE", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        job, root = options.train
        steps = train_here(build_recipe(json.loads(job.read_text()), where="benchmark"), root)
        print(json.dumps({"steps": steps, "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
        return
    presets = options.presets[:1] if options.quick else options.presets
    turns = 1 if options.quick else options.turns
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_model(work / "model", QUICK if options.quick else FULL)
        write_run(work / "run", captions(ROWS, fewest=30, most=110))
        found = {preset: [turn(work, preset) for _ in range(turns)] for preset in presets}
    rows = [row(preset, several) for preset, several in found.items()]
    head = ("preset", "planned s/epoch", "measured s/epoch", "ratio of times", "planned GB", "peak GB of the process")
    print(markdown(head, [tuple(str(each) for each in cells) for cells in rows]))
    if options.json:
        print(json.dumps({"machine": machine(), "turns": found}))


def turn(work: Path, preset: str) -> dict[str, Any]:
    """One plan and one training."""
    recipe = recipe_of(work, preset)
    started = time.perf_counter()
    plan = plan_here(recipe, work / "run")
    planned = time.perf_counter() - started
    trained = train(work, recipe)
    found = {
        "plan_seconds": planned,
        "planned_epoch_seconds": plan.seconds / EPOCHS,
        "measured_epoch_seconds": epoch_seconds(trained["steps"]),
        "planned_bytes": plan.memory.total,
        "peak_rss_bytes": trained["peak_rss_bytes"],
        "speeds": {f"{part} {way}": speed for (part, way), speed in plan.hardware.speeds.items()},
    }
    print(preset, json.dumps(found), file=sys.stderr, flush=True)
    return found


def plan_here(recipe: Recipe, root: Path) -> Plan:
    """Measure this machine, and plan."""
    return plan_training(recipe, root=root, hardware=measure_here(), assumed=Assumptions())


def epoch_seconds(steps: list[float]) -> float:
    """Of one epoch, the first left out, by when each step ended."""
    per_epoch = len(steps) // EPOCHS
    return (steps[-1] - steps[per_epoch - 1]) / (EPOCHS - 1)


def recipe_of(work: Path, preset: str, *, batch_size: int = BATCH) -> Recipe:
    """The same for plan and training; nothing is kept, so that every epoch computes everything."""
    tree = {
        "table": {"source": "none.csv"},
        "model": {"base": str(work / "model")},
        "train": {
            "preset": preset,
            "epochs": EPOCHS,
            "checkpoint_every_epochs": EPOCHS,
            "batch_size": batch_size,
            "memory": {"prefix": "off", "packing": "off"},
            "examples": {"name_question_share": 0.0},
        },
    }
    return build_recipe(tree, where="benchmark")


def train(work: Path, recipe: Recipe) -> dict[str, Any]:
    """In a process of its own."""
    job = work / "recipe.json"
    job.write_text(recipe.model_dump_json())
    command = [sys.executable, __file__, "--train", str(job), str(work / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the training failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class StepClock(SilentProgress):
    """Notes when the training's bar moved.

    Args:
        now: the time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.started = 0.0
        self.steps: list[float] = []

    def task(self, label: str, total: int | None) -> TaskHandle:
        """Bars of other work stay silent."""
        if label != "train":
            return super().task(label, total)
        self.started = self.now()
        return self

    def advance(self, steps: int = 1) -> None:
        """A step has ended."""
        self.steps.append(self.now() - self.started)

    def close(self) -> None:
        """Nothing to close."""


def train_here(recipe: Recipe, root: Path, *, now: Callable[[], float] = time.perf_counter) -> list[float]:
    """Train once; when each step ended."""
    run = RunDirectory(root)
    for leftover in (run.folder("train"), run.checkpoints, run.root / "cache"):
        shutil.rmtree(leftover, ignore_errors=True)
    clock = StepClock(now)
    run_training(recipe.train, model_section=recipe.model, run=run, progress=clock)
    return clock.steps


def row(preset: str, turns: list[dict[str, Any]]) -> tuple[str, ...]:
    """Medians; the ratio is the median of the turns' own ratios."""
    planned = median(each["planned_epoch_seconds"] for each in turns)
    measured = median(each["measured_epoch_seconds"] for each in turns)
    ratio = median(each["planned_epoch_seconds"] / each["measured_epoch_seconds"] for each in turns)
    held = median(each["planned_bytes"] for each in turns)
    peak = median(each["peak_rss_bytes"] for each in turns)
    return preset, f"{planned:.2f}", f"{measured:.2f}", f"{ratio:.2f}", f"{held / 1e9:.2f}", f"{peak / 1e9:.2f}"


if __name__ == "__main__":
    main()
