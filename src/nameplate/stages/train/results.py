"""`train/train.json`: written by training, read by everything after it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from nameplate.errors import InputError
from nameplate.store.files import write_text
from nameplate.store.rundir import RunDirectory
from nameplate.summary import TrainSummary


def read_training(run: RunDirectory) -> TrainSummary:
    """What training found out.

    Raises:
        InputError: there was none, or its file is not as written.
    """
    path = _path(run)
    try:
        return TrainSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(str(path), found=f"cannot be read ({type(error).__name__})", fix="run train first") from None


def write_training(run: RunDirectory, summary: TrainSummary) -> None:
    """Keep what training found out."""
    write_text(_path(run), summary.model_dump_json(indent=2) + "\n")


def _path(run: RunDirectory) -> Path:
    return run.folder("train") / "train.json"
