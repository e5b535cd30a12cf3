"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import count, islice
from typing import IO, NamedTuple

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.base import MAX_ROW_CHARS, RawRow, place
from nameplate.stages.ingest.sources.cells import as_text, text_problem
from nameplate.stages.ingest.sources.places import DAMAGED, TableFile

_ROWS_FOR_COLUMNS = 1000


class JsonLines:
    """A file of objects; each row may have keys of its own."""

    def columns(self, file: TableFile) -> tuple[str, ...]:
        """All keys of the first thousand rows, in the order in which they appear.

        Raises:
            InputError: no row there is a JSON object.
        """
        first = list(islice(self.rows(file, None), _ROWS_FOR_COLUMNS))
        if not first:
            raise InputError(file.where, found="the table is empty", expected="one JSON object per line")
        columns = tuple(dict.fromkeys(key for row in first for key in row.cells))
        if not columns:
            found = first[0].problem or "objects without keys"
            raise InputError(file.where, found=found, expected="one JSON object per line")
        return columns

    def image_columns(self, file: TableFile) -> frozenset[str]:
        """None: JSON holds links."""
        return frozenset()

    def rows(self, file: TableFile, columns: Collection[str] | None) -> Iterator[RawRow]:
        """Rows with their line; blank lines are none."""
        with file.open() as stream:
            for line in _lines(stream):
                if line.problem is not None or line.data.strip():
                    yield _row(line, columns, file.label)


def object_row(value: object, line: int, columns: Collection[str] | None, file: str) -> RawRow:
    """The row that one JSON value is."""
    if not isinstance(value, dict):
        return RawRow(line, {}, problem=f"{place(line, file)}: not a JSON object", file=file)
    cells = {key: as_text(cell) for key, cell in value.items() if columns is None or key in columns}
    problem = text_problem("".join(cells)) or text_problem("".join(cells.values()))
    if problem is not None:
        readable = {_readable(key): _readable(cell) for key, cell in cells.items()}
        return RawRow(line, readable, problem=f"{place(line, file)}: {problem}", file=file)
    return RawRow(line, cells, file=file)


class _Line(NamedTuple):
    number: int
    data: bytes
    problem: str | None = None


def _lines(stream: IO[bytes]) -> Iterator[_Line]:
    for number in count(1):
        try:
            data = stream.readline(MAX_ROW_CHARS + 1)
            if not data:
                return
            is_whole = len(data) <= MAX_ROW_CHARS
            while len(data) > 0 and not is_whole and not data.endswith(b"\n"):
                data = stream.readline(MAX_ROW_CHARS)
        except DAMAGED as error:
            yield _Line(number, b"", f"the file is cut off or damaged here, and the rest is lost ({error})")
            return
        if is_whole:
            yield _Line(number, data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data)
        else:
            yield _Line(number, b"", f"longer than {MAX_ROW_CHARS:,} bytes")


def _row(line: _Line, columns: Collection[str] | None, file: str) -> RawRow:
    problem = line.problem
    if problem is None:
        try:
            return object_row(json.loads(line.data), line.number, columns, file)
        except UnicodeDecodeError:
            problem = "not UTF-8"
        except (ValueError, RecursionError) as error:
            problem = f"not JSON ({error})"
    return RawRow(line.number, {}, problem=f"{place(line.number, file)}: {problem}", file=file)


def _readable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
