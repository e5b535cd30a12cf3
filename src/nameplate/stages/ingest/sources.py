"""Reading tables as they come: CSV, TSV, JSON Lines and Parquet, streamed, with the line of each row."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from nameplate.errors import InputError
from nameplate.store.fingerprint import file_fingerprint

MAX_CELL_CHARS = 1_000_000


class RawRow(NamedTuple):
    """One row of a table: its line (or row number), its cells, and what is wrong with it, if anything."""

    line: int
    cells: dict[str, str]
    problem: str | None


@dataclass(frozen=True)
class Source:
    """A table that can be read again from its start."""

    path: Path
    columns: tuple[str, ...]
    read: Callable[[], Iterator[RawRow]]

    def rows(self, limit: int | None) -> Iterator[RawRow]:
        """Rows in file order, at most `limit`."""
        return islice(self.read(), limit)

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return file_fingerprint(self.path)


def open_source(path: Path) -> Source:
    """Open a table by its ending.

    Raises:
        InputError: it is missing, empty, unreadable, or of a kind that is not known.
    """
    if not path.exists():
        raise InputError(str(path), found="no such table", fix="check table.source in the recipe")
    if path.is_dir():
        raise InputError(str(path), found="a folder", expected="a CSV, TSV, JSON Lines or Parquet file")
    kind = "".join(path.suffixes[-1:]).lower()
    if kind in {".csv", ".tsv"}:
        return _csv_source(path, delimiter="\t" if kind == ".tsv" else ",")
    if kind in {".jsonl", ".ndjson"}:
        return _json_source(path)
    if kind == ".parquet":
        return _parquet_source(path)
    raise InputError(str(path), found=f"ending '{kind}'", expected=".csv, .tsv, .jsonl or .parquet")


def _csv_source(path: Path, *, delimiter: str) -> Source:
    csv.field_size_limit(MAX_CELL_CHARS)
    # Undecodable bytes must spoil their own row only, so they are let through here and found per row.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        header = next(csv.reader(stream, delimiter=delimiter), None)
    if not header:
        raise InputError(f"{path} line 1", found="the table is empty", expected="a header line with column names")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"{path} line 1", found=f"column '{repeated[0]}' stands twice", fix="rename one of them")
    columns = tuple(header)
    return Source(path, columns, lambda: _csv_rows(path, columns, delimiter))


def _csv_rows(path: Path, columns: tuple[str, ...], delimiter: str) -> Iterator[RawRow]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        next(reader, None)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield RawRow(line, {}, f"line {line}: {error}")
                continue
            if cells:
                yield _csv_row(line, cells, columns)


def _csv_row(line: int, cells: list[str], columns: tuple[str, ...]) -> RawRow:
    readable = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in cells]
    row = dict(zip(columns, readable, strict=False))
    if len(cells) != len(columns):
        return RawRow(line, row, f"line {line}: {len(cells)} cells, the header has {len(columns)}")
    if readable != cells:
        return RawRow(line, row, f"line {line}: not UTF-8")
    if any("\x00" in cell for cell in cells):
        return RawRow(line, row, f"line {line}: holds a NUL character")
    return RawRow(line, row, None)


def _json_source(path: Path) -> Source:
    first = next(_json_rows(path), None)
    if first is None:
        raise InputError(str(path), found="the table is empty", expected="one JSON object per line")
    if first.problem is not None:
        raise InputError(str(path), found=first.problem, expected="one JSON object per line")
    return Source(path, tuple(first.cells), lambda: _json_rows(path))


def _json_rows(path: Path) -> Iterator[RawRow]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except ValueError as error:
                yield RawRow(line, {}, f"line {line}: {error}")
                continue
            if not isinstance(value, dict):
                yield RawRow(line, {}, f"line {line}: not a JSON object")
                continue
            yield RawRow(line, {str(key): _as_text(cell) for key, cell in value.items()}, None)


def _parquet_source(path: Path) -> Source:
    try:
        columns = tuple(pq.read_schema(path).names)
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise InputError(str(path), found=f"not a Parquet file ({error})") from None
    return Source(path, columns, lambda: _parquet_rows(path))


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    line = 0
    for batch in pq.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            line += 1
            yield RawRow(line, {key: _as_text(cell) for key, cell in row.items()}, None)


def _as_text(cell: object) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)
