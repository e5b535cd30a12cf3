"""Which rows are fitted to and which are read, and the folds of the former that no product is divided by."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from nameplate.errors import InputError
from nameplate.models.images import ImageKey
from nameplate.models.probing.readers import FOLDS
from nameplate.records import SplitName
from nameplate.stages.probe.thresholds import FEWEST_PER_NAME
from nameplate.store.rundir import RunDirectory

_COLUMNS: Final = ["row_id", "name", "image_sha256", "image_ext", "image_width", "image_height", "split", "group_id"]


@dataclass(frozen=True)
class ProbedRow:
    """One row with a name and an image."""

    row_id: str
    name: str
    group: str
    image: ImageKey
    width: int | None
    height: int | None


class Sample(NamedTuple):
    """Rows to fit to and rows to read, all of names that can be learned from."""

    train: list[ProbedRow]
    tried: list[ProbedRow]
    names: list[str]
    left_out: list[str]
    """Names with too few training images."""
    train_total: int
    tried_total: int
    read: SplitName
    """What the rows to read are of."""

    @property
    def images(self) -> list[ImageKey]:
        """Every image, once."""
        return list(dict.fromkeys(row.image for row in (*self.train, *self.tried)))


def draw_sample(run: RunDirectory, *, read: SplitName, most: int, seed: int) -> Sample:
    """At most so many training rows, each name its share, and all rows of the split that is read.

    Raises:
        InputError: there are no names, only one that can be learned, or no rows to read.
    """
    where = str(run.folder("split"))
    table = run.tables("split").read_kept().select(_COLUMNS).to_pylist()
    rows = {split: [_row(row) for row in table if row["split"] == split] for split in ("train", read)}
    if not any(row.name for row in rows["train"]):
        raise InputError(where, found="no training row with a name", fix="give name.column: a probe reads names")
    drawn = _spread(rows["train"], most, seed)
    images: dict[str, set[str]] = defaultdict(set)
    for row in drawn:
        images[row.name].add(row.image.sha256)
    known = {name for name, own in images.items() if name and len(own) >= FEWEST_PER_NAME}
    if len(known) < 2:
        raise InputError(
            where,
            found=f"{len(known)} names with at least {FEWEST_PER_NAME} training images",
            expected="two or more: with one name there is nothing to tell apart",
            fix="add rows, or lower split.min_per_name",
        )
    tried = [row for row in rows[read] if row.name in known]
    if not tried:
        raise InputError(where, found=f"no rows in {read} whose names can be learned", fix=f"raise split.{read}")
    return Sample(
        train=[row for row in drawn if row.name in known],
        tried=tried,
        names=sorted(known),
        left_out=sorted({row.name for each in rows.values() for row in each if row.name} - known),
        train_total=len(rows["train"]),
        tried_total=len(rows[read]),
        read=read,
    )


def folds_of(rows: Sequence[ProbedRow], *, seed: int) -> list[int]:
    """The fold of each row: all rows of a product have the same, and each name's products are spread over all."""
    place = {group: number % FOLDS for number, group in enumerate(_products(rows, seed))}
    return [place[row.group] for row in rows]


def half_of(rows: Sequence[ProbedRow], *, seed: int) -> list[int]:
    """Places of the rows of every other product, name by name."""
    chosen = set(_products(rows, seed)[::2])
    return [place for place, row in enumerate(rows) if row.group in chosen]


def _products(rows: Sequence[ProbedRow], seed: int) -> list[str]:
    """By name, chance within a name."""
    home: dict[str, str] = {}
    for row in rows:
        home.setdefault(row.group, row.name)
    return sorted(home, key=lambda group: (home[group], _lot(seed, group)))


def _spread(rows: Sequence[ProbedRow], most: int, seed: int) -> list[ProbedRow]:
    """At most so many, at equal distances in the order of their names, chance within a name."""
    order = sorted(rows, key=lambda row: (row.name, _lot(seed, row.row_id)))
    count = min(most, len(order))
    return [order[place * len(order) // count] for place in range(count)]


def _lot(seed: int, text: str) -> str:
    return hashlib.md5(f"{seed}:{text}".encode(), usedforsecurity=False).hexdigest()


def _row(row: Mapping[str, Any]) -> ProbedRow:
    return ProbedRow(
        row_id=row["row_id"],
        name=row["name"] or "",
        group=row["group_id"] or row["row_id"],
        image=ImageKey(row["image_sha256"], row["image_ext"]),
        width=row["image_width"],
        height=row["image_height"],
    )
