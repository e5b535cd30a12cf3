"""One training by Nameplate's own stage, in a process of its own; prints one JSON object.

python benchmarks/train_ours.py JOB.json
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch

from nameplate.models.batches import num_answer_tokens
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.progress import SilentProgress, TaskHandle
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory


class Clock(SilentProgress):
    """Notes when each step of training ended, and how long everything else took that shows a bar.

    Args:
        stop_after: end training there; none: let it end.
    """

    def __init__(self, stop_after: int | None) -> None:
        self.stop_after = stop_after
        self.steps: list[float] = []
        self.cpu: list[float] = []
        self.fills: dict[str, float] = {}
        self.notes: list[str] = []

    def task(self, label: str, total: int | None) -> TaskHandle:
        """A bar whose moves are times."""
        return _Bar(self, label)

    def note(self, text: str) -> None:
        """Kept, for whoever wonders what was chosen."""
        self.notes.append(text)


class _EnoughError(Exception):
    """As many steps as were wanted."""


class _Bar:
    def __init__(self, clock: Clock, label: str) -> None:
        self.clock = clock
        self.label = label
        self.opened = time.perf_counter()
        if label == "train":
            clock.steps.append(self.opened)
            clock.cpu.append(time.process_time())

    def advance(self, steps: int = 1) -> None:
        """A step has ended."""
        if self.label == "train":
            self.clock.steps.append(time.perf_counter())
            self.clock.cpu.append(time.process_time())
            if len(self.clock.steps) - 1 == self.clock.stop_after:
                raise _EnoughError

    def close(self) -> None:
        """The bar is full."""
        if self.label != "train":
            self.clock.fills[self.label] = time.perf_counter() - self.opened


def main() -> None:
    """Train once."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    run = RunDirectory(Path(job["run"]))
    for leftover in (run.folder("train"), run.checkpoints, run.prefix):
        shutil.rmtree(leftover, ignore_errors=True)
    clock = Clock(job.get("stop_after"))
    losses: list[float] = []
    started = time.perf_counter()
    with contextlib.suppress(_EnoughError):
        summary = run_training(
            TrainSection.model_validate(job["section"]),
            model_section=ModelSection(base=job["model"], max_tiles=job.get("max_tiles", 1)),
            run=run,
            progress=clock,
        )
        losses = [loss for _, loss in summary.losses]
    found = {
        "tokens": _tokens(job),
        "steps": [time - clock.steps[0] for time in clock.steps[1:]],
        "cpu": [moment - clock.cpu[0] for moment in clock.cpu[1:]],
        "fill_seconds": sum(clock.fills.values()),
        "start_seconds": clock.steps[0] - started,
        "losses": losses,
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "notes": clock.notes,
    }
    print(json.dumps(found))


def _tokens(job: dict[str, Any]) -> dict[str, float]:
    """Of the mean example: all, and those that carry loss."""
    processor = load_processor(Path(job["model"]))
    rows = RunDirectory(Path(job["run"])).tables("split").read_kept().column("caption").to_pylist()
    encoded = [processor.encode(PROMPTS["detail"], text) for text in rows[:1000]]
    answers = sum(num_answer_tokens([each]) for each in encoded)
    return {"all": sum(len(each.input_ids) for each in encoded) / len(encoded), "answer": answers / len(encoded)}


if __name__ == "__main__":
    main()
