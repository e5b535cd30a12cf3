"""Which columns of the table a model can be asked about, and on which rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq

from nameplate.errors import InputError
from nameplate.models.images import ImageKey
from nameplate.names import Registry
from nameplate.stages.score.guards.tally import MOST_VALUES, MOST_WANTED, Tally
from nameplate.stages.score.guards.values import Words, is_askable, value_words
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory

MOST_COLUMNS: Final = 3
CATEGORY: Final = "category"
QUESTION: Final = "What is the {column} of this product?"
_NUMBERED: Final = re.compile(r"(?<=[a-z])\d+\b")
_NO_WORDS: Final = {"code", "id"}
"""At the end of a column's name, they tell a table's reader something, and a model nothing."""
_READ: Final = ["row_id", "name", "category", "attributes", "image_sha256", "image_ext", "split", "group_id"]


class GuardRow(NamedTuple):
    """One validation row with a value."""

    row_id: str
    image: ImageKey
    value: Words


@dataclass(frozen=True)
class GuardColumn:
    """A column, what is asked about it, and of which rows."""

    name: str
    question: str
    values: tuple[Words, ...]
    rows: tuple[GuardRow, ...]


def choose_columns(run: RunDirectory, *, registry: Registry, wanted: Sequence[str], num_rows: int) -> list[GuardColumn]:
    """The columns to ask about, each with at most `num_rows` validation rows, one of a product, the same every time.

    Args:
        run: whose split; values are counted on all its rows.
        registry: names, which no column may consist of.
        wanted: columns that the recipe asks for; none: those that fit, the fullest first, at most three.
        num_rows: rows of each column.

    Raises:
        InputError: a wanted column is not there, or has too few values that can be asked for, or too many.
    """
    tallies = _tallies(run, wanted)
    unknown = next((column for column in wanted if column not in tallies), None)
    if unknown is not None:
        known = ", ".join(sorted(tallies)) or "none"
        raise InputError("score.guards.columns", found=f"no column '{unknown}'", expected=f"one of {known}")
    if wanted:
        chosen = list(dict.fromkeys(wanted))
        for column in chosen:
            _check_wanted(column, tallies[column])
    else:
        fitting = [column for column, tally in tallies.items() if tally.fits(registry)]
        chosen = sorted(fitting, key=lambda column: (-tallies[column].filled, column != CATEGORY, column))
        chosen = chosen[:MOST_COLUMNS]
    rows = _validation_rows(run, chosen, num_rows)
    return [
        GuardColumn(column, question_of(column), tuple(sorted(tallies[column].askable)), tuple(rows[column]))
        for column in chosen
        if rows[column]
    ]


def question_of(column: str) -> str:
    """The question about a column."""
    return QUESTION.format(column=column_label(column))


def column_label(column: str) -> str:
    """A column as it is spoken of: "Colour_Family" is "colour family", "category2_code" is "category"."""
    words = _NUMBERED.sub("", column.replace("_", " ").lower()).split()
    if len(words) > 1 and words[-1] in _NO_WORDS:
        words.pop()
    return " ".join(words) or column


def _check_wanted(column: str, tally: Tally) -> None:
    num_values = len(tally.askable)
    if tally.too_many or num_values < 2:
        found = f"more than {MOST_WANTED}" if tally.too_many else f"{num_values}"
        raise InputError(
            "score.guards.columns",
            found=f"column '{column}' has {found} values of at most three words",
            expected=f"2 to {MOST_WANTED}",
            fix="give another column, or set score.guards.rows=0",
        )


def _tallies(run: RunDirectory, wanted: Sequence[str]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    num_rows = 0
    for row in _rows(run):
        num_rows += 1
        for column, value in _values(row).items():
            if column not in tallies:
                tallies[column] = Tally(most=MOST_WANTED if column in wanted else MOST_VALUES)
            tallies[column].add(value, row["name"] or "")
    for tally in tallies.values():
        tally.rows = num_rows
    return tallies


def _rows(run: RunDirectory) -> Iterator[dict[str, Any]]:
    for path in run.tables("split").kept_paths():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=_READ):
                yield from batch.to_pylist()


def _values(row: Mapping[str, Any]) -> dict[str, str]:
    """The row's columns besides those that have a meaning of their own; without the empty ones."""
    attributes = json.loads(row["attributes"] or "{}")
    own = {name: value for name, value in attributes.items() if isinstance(value, str)}
    return {name: value for name, value in ({CATEGORY: row["category"] or ""} | own).items() if value.strip()}


def _validation_rows(run: RunDirectory, columns: Sequence[str], num_rows: int) -> dict[str, list[GuardRow]]:
    """Rows by column, in an order that is chance but always the same."""
    found: dict[str, list[GuardRow]] = {column: [] for column in columns}
    met: dict[str, set[str]] = {column: set() for column in columns}
    validation = [row for row in _rows(run) if row["split"] == "validation"] if columns else []
    for row in sorted(validation, key=lambda row: fingerprint("guard", row["row_id"])):
        values = _values(row)
        product, image = row["group_id"] or f"row {row['row_id']}", row["image_sha256"]
        for column in columns:
            words = value_words(values.get(column, ""))
            is_new = product not in met[column] and image not in met[column]
            if is_new and is_askable(words) and len(found[column]) < num_rows:
                met[column] |= {product, image}
                found[column].append(GuardRow(row["row_id"], ImageKey(image, row["image_ext"]), words))
    return found
