"""A table cut into shards of raw rows: texts in columns, images already in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from operator import itemgetter

import pyarrow as pa

from nameplate.engine import Shard
from nameplate.errors import InputError
from nameplate.stages.ingest.pictures import Picture, Pictures
from nameplate.stages.ingest.sources import RawRow, Source

CELL = "cell:"
"""What stands before a table's own column names in a raw shard; the other columns of it are ours."""


def rows_per_shard(num_rows: int) -> int:
    """Shards grow with the table, up to ten thousand rows: few files for ten million rows, few rows lost to a kill."""
    return min(10_000, max(1_000, num_rows // 256))


class Intake:
    """Reads a table once more, shard after shard.

    Args:
        source: the table.
        columns: what is wanted of it.
        pictures: takes the rows' own images.
        is_wanted: whether a row may be kept at all; the image of one that may not is not looked at.
    """

    def __init__(
        self, source: Source, *, columns: list[str], pictures: Pictures, is_wanted: Callable[[RawRow], bool]
    ) -> None:
        self._source = source
        self._columns = columns
        self._pictures = pictures
        self._is_wanted = is_wanted

    def shards(self, num_rows: int) -> Iterator[Shard]:
        """The first `num_rows` rows. The rows of a shard that nobody loads are read past.

        Raises:
            InputError: the table has fewer rows than before, so it is being written.
        """
        size = rows_per_shard(num_rows)
        rows = self._source.rows(limit=num_rows, columns=self._columns)
        for index, start in enumerate(range(0, num_rows, size)):
            expected = min(size, num_rows - start)
            piece = islice(rows, expected)
            yield Shard(index, partial(self._load, piece, expected))
            for _ in piece:
                pass

    def _load(self, rows: Iterator[RawRow], expected: int) -> pa.Table:
        taken: list[RawRow] = []
        pictures: list[Picture] = []
        if self._pictures.are_there:
            for row in rows:
                wanted = row.problem is None and self._is_wanted(row)
                pictures.append(self._pictures.take(row) if wanted else Picture())
                taken.append(row._replace(blobs={}))
        else:
            taken = list(rows)
        if len(taken) != expected:
            raise InputError(self._source.name, found="it changes while it is read", fix="run again when it is whole")
        return _table(taken, pictures)


def _table(rows: list[RawRow], pictures: list[Picture]) -> pa.Table:
    own = {
        "line": pa.array([row.line for row in rows], pa.int64()),
        "file": pa.array([row.file for row in rows], pa.string()),
        "problem": pa.array([row.problem for row in rows], pa.string()),
        "reason": pa.array([row.reason if row.problem is not None else None for row in rows], pa.string()),
    }
    brought: dict[str, pa.Array] = {
        "blob": pa.array([picture.sha256 for picture in pictures], pa.string()),
        "blob_reason": pa.array([picture.reason for picture in pictures], pa.string()),
        "blob_detail": pa.array([picture.detail for picture in pictures], pa.string()),
    }
    if not pictures:
        brought = dict.fromkeys(brought, pa.nulls(len(rows), pa.string()))
    texts = {CELL + name: pa.array(column, pa.string()) for name, column in columns_of([row.cells for row in rows])}
    return pa.table({**own, **brought, **texts})


def columns_of(cells: list[Mapping[str, str]]) -> Iterator[tuple[str, Sequence[str | None]]]:
    """Rows turned into columns; a row without a column has none there.

    A JSON table's row may have keys that no row before it had; they are not lost.
    """
    widest = max(cells, key=len)
    # Rows of one shape are turned at once in C; broken ones, which are short, are filled up before.
    blank = dict.fromkeys(widest)
    whole = [row if len(row) == len(widest) else {**blank, **row} for row in cells]
    if len(widest) > 1 and all(len(row) == len(widest) for row in whole):
        with suppress(KeyError):
            yield from zip(widest, zip(*map(itemgetter(*widest), whole), strict=True), strict=True)
            return
    for name in dict.fromkeys(name for row in cells for name in row):
        yield name, [row.get(name) for row in cells]
