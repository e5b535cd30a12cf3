"""Scoring: base and checkpoints answer the held-out rows, the matcher judges, validation chooses, test decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nameplate.stages.score.results import read_groups, read_right, read_scores

if TYPE_CHECKING:
    from nameplate.stages.score.stage import run_scoring

__all__ = ["VERSION", "read_groups", "read_right", "read_scores", "run_scoring"]

VERSION = 3


def __getattr__(name: str) -> Any:
    # Asking for the version must not import torch, which takes seconds.
    if name == "run_scoring":
        from nameplate.stages.score.stage import run_scoring

        return run_scoring
    raise AttributeError(name)
