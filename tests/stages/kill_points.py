"""Work that ends before its time: interrupted at a step, or its process killed at a chosen point.

The latter is for a server that forks, so that torch is imported once.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nameplate.models import checkpoint
from nameplate.models.step import compiling
from nameplate.progress import SilentProgress, TaskHandle
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import keeper, resume, run_training
from nameplate.stages.train.trainer import PolicyTrainer
from nameplate.store.rundir import RunDirectory


def interrupt() -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


class StopAfter(SilentProgress):
    """Stops at the n-th step of a task."""

    def __init__(self, steps: int, stop: Callable[[], None] = interrupt, *, task: str = "train") -> None:
        self.left = steps
        self.stop = stop
        self.label = task

    def task(self, label: str, total: int | None) -> TaskHandle:
        return self if label == self.label else super().task(label, total)

    def advance(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left <= 0:
            self.stop()

    def close(self) -> None:
        pass


def at_call(number: int, function: Callable[..., Any], last_words: Callable[..., None] = lambda *_, **__: None) -> Any:
    """The function; its n-th call is the end of the process."""
    left = [number]

    def run(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            last_words(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return run


def write_half(tensors: Any, path: Path, **named: Any) -> None:
    """What a kill leaves of a file that is being written."""
    _SAVE(tensors, path, **named)
    os.truncate(path, path.stat().st_size // 2)


_SAVE = resume.save_file
POINTS: dict[str, tuple[Any, str, int, Any]] = {
    "inside a step": (PolicyTrainer, "compute_loss", 6, None),
    "while a checkpoint is written": (checkpoint, "write_json", 2, None),
    "between a checkpoint and its resume state": (keeper, "save_resume", 2, None),
    "while the resume state is written": (resume, "save_file", 2, write_half),
}


def train_and_die(root: str, base: str, section: str, point: str) -> None:
    die_at(point)
    train_alone(root, base, section)


def train_compiled(root: str, base: str, section: str, cache: str, point: str | None) -> None:
    """Layers are compiled into a folder of their own, however slow one is in its trial; none: nothing ends it."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    compiling.LEAST_GAIN = -math.inf
    if point is not None:
        die_at(point)
    train_alone(root, base, section)


def die_at(point: str) -> None:
    """The process will."""
    holder, name, number, last_words = POINTS[point]
    function = getattr(holder, name)
    setattr(holder, name, at_call(number, function, last_words) if last_words else at_call(number, function))


def train_alone(root: str, base: str, section: str) -> None:
    """On one thread."""
    torch.set_num_threads(1)
    run_training(
        TrainSection.model_validate_json(section),
        model_section=ModelSection(base=base),
        run=RunDirectory(Path(root)),
        progress=SilentProgress(),
    )
