"""Training: the split's examples, one trainer, checkpoints, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nameplate.stages.train.results import read_training

if TYPE_CHECKING:
    from nameplate.stages.train.stage import run_training

__all__ = ["VERSION", "read_training", "run_training"]

VERSION = 1


def __getattr__(name: str) -> Any:
    # Asking for the version must not import torch, which takes seconds.
    if name == "run_training":
        from nameplate.stages.train.stage import run_training

        return run_training
    raise AttributeError(name)
