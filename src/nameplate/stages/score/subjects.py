"""Who is asked about what: the base and the candidates, and the rows of the split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nameplate.errors import InputError, ModelError
from nameplate.models.checkpoint import read_notes
from nameplate.models.images import ImageKey
from nameplate.models.locate import find_model, read_config, weights_fingerprint
from nameplate.models.soup import keep_average
from nameplate.models.twins import find_twins
from nameplate.models.weights import WeightFiles
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
    is_average: bool = False
    """Whether it is the average of several checkpoints: a candidate, but no further step of the training."""


@dataclass(frozen=True)
class EvaluationRow:
    """One row that models are evaluated on: held out, or of the sample of training rows."""

    row_id: str
    split: SplitName
    name: str
    caption: str
    image: ImageKey


def find_subjects(base: str, run: RunDirectory, *, average_last: int = 0) -> list[Subject]:
    """The base, the checkpoints by epoch, and at the end the average of so many last ones, made if need be.

    Raises:
        ModelError: a model is missing or not whole, or two have the same weights.
        InputError: there is no checkpoint, or fewer than are to be averaged.
    """
    folder = find_model(base)
    epochs = [_candidate(each) for each in sorted(run.checkpoints.glob("epoch-*"))]
    if not epochs:
        raise InputError(str(run.checkpoints), found="no checkpoint", fix="run train first")
    epochs.sort(key=lambda subject: subject.epoch)
    averages = [_average(epochs, average_last, run)] if average_last else []
    subjects = [Subject(BASE, 0, folder, weights_fingerprint(folder), None), *epochs, *averages]
    _check_distinct(subjects)
    return subjects


def read_held_out(run: RunDirectory) -> list[EvaluationRow]:
    """Rows of validation, then of test, in table order.

    Raises:
        InputError: one of them is empty.
    """
    rows = [row for split in HELD_OUT for row in read_rows(run, split)]
    for split in HELD_OUT:
        if not any(row.split == split for row in rows):
            raise InputError(str(run.folder("split")), found=f"no rows in {split}", fix=f"raise split.{split}")
    return rows


def read_rows(run: RunDirectory, split: SplitName, *, only: Collection[str] | None = None) -> list[EvaluationRow]:
    """Rows of one split in table order; of all of them, or of some by row id."""
    table = run.tables("split").read_kept().select(["row_id", "name", "caption", "image_sha256", "image_ext", "split"])
    wanted = pc.equal(table["split"], split)
    if only is not None:
        wanted = pc.and_(wanted, pc.is_in(table["row_id"], pa.array(list(only), pa.string())))
    return [
        EvaluationRow(
            row["row_id"], split, row["name"], row["caption"], ImageKey(row["image_sha256"], row["image_ext"])
        )
        for row in table.filter(wanted).to_pylist()
    ]


def train_names(run: RunDirectory) -> dict[str, str]:
    """The name of every training row, by row id."""
    table = run.tables("split").read_kept().select(["row_id", "name", "split"])
    own = table.filter(pc.equal(table["split"], "train"))
    return dict(zip(own["row_id"].to_pylist(), own["name"].to_pylist(), strict=True))


def _candidate(folder: Path) -> Subject:
    notes = read_notes(folder)
    try:
        epoch = int(notes["epoch"])
        loss = float(notes["train_loss"]) if notes.get("train_loss") is not None else None
        shares = notes.get("policy", {}).get("vision", {}).get("mode") == "frozen"
    except (KeyError, TypeError, ValueError) as error:
        found = f"its notes are not as training writes them ({error})"
        raise ModelError(str(folder), found=found, fix="run train again") from None
    # Half a copy is found before anything is loaded or asked.
    read_config(folder)
    if not WeightFiles(folder).shapes:
        raise ModelError(str(folder), found="no weights in it (.safetensors)", fix="copy it again, or train again")
    return Subject(folder.name, epoch, folder, weights_fingerprint(folder), loss, shares)


def _average(epochs: Sequence[Subject], num_last: int, run: RunDirectory) -> Subject:
    if len(epochs) < num_last:
        raise InputError(
            "score.average_last",
            found=f"{num_last} checkpoints to average, and there are {len(epochs)}",
            fix="lower it, or keep more: train.checkpoint_every_epochs and train.keep decide",
        )
    members = {each.folder: each.fingerprint for each in epochs[-num_last:]}
    folder = keep_average(members, run.checkpoints / f"average-{num_last}")
    return _candidate(folder)._replace(is_average=True)


def _check_distinct(subjects: list[Subject]) -> None:
    twins = find_twins([subject.folder for subject in subjects])
    if twins is not None:
        raise ModelError(
            str(subjects[twins.second].folder),
            found=f"has exactly the weights of {subjects[twins.first].name}: no training was saved in between",
            fix="if it was copied or left over, remove it; else raise the learning rates, and train again",
        )
