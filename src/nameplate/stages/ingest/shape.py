"""Columns of text into the columns of a row, many values at a time. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nameplate.records import IngestReason
from nameplate.stages.ingest.sources.base import place

_as_json = json.JSONEncoder(ensure_ascii=False).encode
_COMMA = ", "


def clean(column: pa.Array, nulls: pa.Array) -> pa.Array:
    """Values without the spaces around them; those in `nulls` become null."""
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(trimmed, value_set=nulls), None, trimmed)


def mapped(column: pa.Array, function: Callable[[str], str | None]) -> pa.Array:
    """`function` of each value that is not null, asked once for each different value."""
    encoded = pc.dictionary_encode(column)
    results = pa.array([function(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return results.take(encoded.indices)


def places(files: pa.Array, lines: pa.Array) -> pa.Array:
    """An id for each row by where it stands: "00000007", or "part-3.csv:00000007" in a table of several files."""
    numbers = pc.utf8_lpad(lines.cast(pa.string()), 8, "0")
    return pc.if_else(pc.equal(files, ""), numbers, pc.binary_join_element_wise(files, numbers, ":"))


def json_objects(columns: Mapping[str, pa.Array], num_rows: int) -> pa.Array:
    """One JSON object a row, without the keys whose values are null."""
    if not columns:
        return pa.array(["{}"] * num_rows, pa.string())
    # Each pair brings its own comma: with null_handling="skip", Arrow drops rows in which all values are null.
    pairs = [pc.fill_null(mapped(column, _pairs(name)), "") for name, column in columns.items()]
    joined = pc.binary_join_element_wise(*pairs, "")
    return pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, len(_COMMA)), "}", "")


def _pairs(name: str) -> Callable[[str], str]:
    key = _COMMA + _as_json(name) + ": "
    return lambda value: key + _as_json(value)


class Divided(NamedTuple):
    """Rows by what became of them."""

    kept: pa.Table
    rejected: pa.Table


class Verdicts:
    """Which rows of a raw shard are rejected, and why; the first reason stands."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self._reasons: list[str | None] = [None] * rows.num_rows
        self._details: list[str | None] = [None] * rows.num_rows
        self._is_open = np.ones(rows.num_rows, dtype=bool)

    def open(self, mask: Any) -> npt.NDArray[np.intp]:
        """Rows without a verdict so far, of those in `mask` (a boolean Arrow array; none: all)."""
        chosen = self._is_open if mask is None else self._is_open & np.asarray(mask)
        return np.flatnonzero(chosen)

    def reject(self, index: int, reason: str, detail: str) -> None:
        """Reject a row."""
        self._reasons[index] = reason
        self._details[index] = detail
        self._is_open[index] = False

    def reject_at(self, index: int, reason: IngestReason | str, detail: str) -> None:
        """Reject a row with its place before the detail."""
        where = place(self._rows["line"][index].as_py(), self._rows["file"][index].as_py())
        self.reject(index, str(reason), f"{where}: {detail}")

    def divide(self, values: pa.Table) -> Divided:
        """The kept rows, and the rejected ones with `reason` and `detail`."""
        rejected = values.append_column("reason", pa.array(self._reasons, pa.string()))
        rejected = rejected.append_column("detail", pa.array(self._details, pa.string()))
        is_kept = pa.array(self._is_open)
        return Divided(values.filter(is_kept), rejected.filter(pc.invert(is_kept)))
