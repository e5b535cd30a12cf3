"""Who is scored on what: the base and the checkpoints, and the rows that no model was trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nameplate.errors import InputError, ModelError
from nameplate.models.checkpoint import read_notes
from nameplate.models.images import ImageKey
from nameplate.models.locate import find_model, weights_fingerprint
from nameplate.records import SplitName
from nameplate.store.rundir import RunDirectory

BASE = "base"
HELD_OUT: tuple[SplitName, ...] = ("validation", "test")


class Subject(NamedTuple):
    """One model that is scored."""

    name: str
    epoch: int
    folder: Path
    fingerprint: str
    """Of its weights."""
    train_loss: float | None
    shares_tower: bool = False
    """Whether its vision tower is the base's, by what training noted; only speed depends on it."""


@dataclass(frozen=True)
class HeldOutRow:
    """One row of validation or test."""

    row_id: str
    split: SplitName
    name: str
    caption: str
    image: ImageKey


def find_subjects(base: str, run: RunDirectory) -> list[Subject]:
    """The base, then the checkpoints by epoch.

    Raises:
        ModelError: a model is missing, or two have the same weights.
        InputError: there is no checkpoint.
    """
    folder = find_model(base)
    subjects = [Subject(BASE, 0, folder, weights_fingerprint(folder), None)]
    for checkpoint in sorted(run.checkpoints.glob("epoch-*")):
        notes = read_notes(checkpoint)
        subjects.append(_checkpoint(checkpoint, notes))
    if len(subjects) == 1:
        raise InputError(str(run.checkpoints), found="no checkpoint", fix="run train first")
    _check_distinct(subjects)
    return [subjects[0], *sorted(subjects[1:], key=lambda subject: subject.epoch)]


def read_held_out(run: RunDirectory) -> list[HeldOutRow]:
    """Rows of validation, then of test, in table order.

    Raises:
        InputError: one of them is empty.
    """
    columns = ["row_id", "name", "caption", "image_sha256", "image_ext", "split"]
    rows = run.tables("split").read_kept().select(columns).to_pylist()
    held_out = [_row(row, split) for split in HELD_OUT for row in rows if row["split"] == split]
    for split in HELD_OUT:
        if not any(row.split == split for row in held_out):
            raise InputError(str(run.folder("split")), found=f"no rows in {split}", fix=f"raise split.{split}")
    return held_out


def train_counts(run: RunDirectory) -> Counter[str]:
    """Training rows by name."""
    rows = run.tables("split").read_kept().select(["name", "split"]).to_pylist()
    return Counter(row["name"] for row in rows if row["split"] == "train")


def _row(row: dict[str, Any], split: SplitName) -> HeldOutRow:
    image = ImageKey(row["image_sha256"], row["image_ext"])
    return HeldOutRow(row["row_id"], split, row["name"], row["caption"], image)


def _checkpoint(folder: Path, notes: dict[str, Any]) -> Subject:
    try:
        epoch, loss = int(notes["epoch"]), float(notes["train_loss"])
        shares = notes.get("policy", {}).get("vision", {}).get("mode") == "frozen"
        return Subject(folder.name, epoch, folder, weights_fingerprint(folder), loss, shares)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(str(folder), found=f"its notes lack {error}", fix="run train again") from None


def _check_distinct(subjects: list[Subject]) -> None:
    seen: dict[str, str] = {}
    for subject in subjects:
        twin = seen.setdefault(subject.fingerprint, subject.name)
        if twin != subject.name:
            raise ModelError(
                str(subject.folder),
                found=f"has exactly the weights of {twin}, so training changed nothing that was saved",
                fix="raise the learning rates, and train again",
            )
