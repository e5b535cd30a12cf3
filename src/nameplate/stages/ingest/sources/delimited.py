"""CSV and TSV. A broken row spoils only itself, and never the rows after it."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Collection, Iterator
from typing import IO, Any, NamedTuple, cast

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.base import MAX_ROW_CHARS, NO_BLOBS, RawRow, place
from nameplate.stages.ingest.sources.cells import text_problem
from nameplate.stages.ingest.sources.places import DAMAGED, TableFile

_OTHER_DELIMITERS = (";", "\t", "|")
_LINE_ENDS = ("\r", "\n")
_OPEN = "unexpected end of data"
"""What the csv module says of a quote that nothing closes."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Delimited:
    """A file with a header line, then one row a line; quoted cells may hold line ends."""

    def columns(self, file: TableFile) -> tuple[str, ...]:
        """The header.

        Raises:
            InputError: there is none, it is not UTF-8, or a name stands in it twice.
        """
        with file.open() as stream:
            return _read_header(_Lines(_as_text(stream, file)), file).columns

    def image_columns(self, file: TableFile) -> frozenset[str]:
        """None: a CSV holds links."""
        return frozenset()

    def rows(self, file: TableFile, columns: Collection[str] | None) -> Iterator[RawRow]:
        """Rows with the line on which they begin."""
        with file.open() as stream:
            lines = _Lines(_as_text(stream, file))
            yield from _Rows(lines, _read_header(lines, file), columns, file.label).read()


class _Header(NamedTuple):
    columns: tuple[str, ...]
    delimiter: str


class _TooLong(Exception):
    """The record goes on for longer than any row does."""


class _Lines:
    """Physical lines for the csv reader; remembers those of the record under way, so that they can be read again."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._again: deque[str] = deque()
        self._chars = 0
        self.number = 0
        self.record: list[str] = []

    def __iter__(self) -> Iterator[str]:
        again, readline = self._again, self._stream.readline
        while True:
            is_fresh = not again
            line = readline(MAX_ROW_CHARS + 1) if is_fresh else again.popleft()
            if not line:
                return
            self.number += 1
            self.record.append(line)
            self._chars += len(line)
            if self._chars > MAX_ROW_CHARS:
                if is_fresh:
                    self._drop_rest(line)
                raise _TooLong
            yield line

    def begin(self) -> None:
        """A new record begins with the next line."""
        self.record.clear()
        self._chars = 0

    def read_again_after_first(self) -> None:
        """Give back all lines of the record but its first."""
        self._again.extendleft(reversed(self.record[1:]))
        self.number -= len(self.record) - 1

    def _drop_rest(self, line: str) -> None:
        """Skip what `readline` left of a line that is too long by itself; what is kept of it stays too long."""
        while line and not line.endswith(("\n", "\r")):
            line = self._stream.readline(MAX_ROW_CHARS)


def _as_text(stream: IO[bytes], file: TableFile) -> io.TextIOWrapper:
    where = f"{file.where} line 1"
    # A decompressor is not wrapped again: a buffer above it would lose what it read before it met damage.
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(cast("io.RawIOBase", stream))
    try:
        start = buffered.peek(2)[:2]
    except DAMAGED as error:
        raise InputError(where, found=f"no header can be read ({error})") from None
    if start in _UTF16:
        raise InputError(where, found="UTF-16 text", expected="UTF-8", fix="save the table as UTF-8")
    # Undecodable bytes must spoil their own row only, so they are let through here and found per row.
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _read_header(lines: _Lines, file: TableFile) -> _Header:
    where = f"{file.where} line 1"
    csv.field_size_limit(MAX_ROW_CHARS)
    delimiter = "\t" if file.suffixes[0] == ".tsv" else ","
    lines.begin()
    try:
        cells: list[str] | None = next(csv.reader(lines, delimiter=delimiter), None)
    except (*DAMAGED, csv.Error, _TooLong) as error:
        raise InputError(where, found=f"no header can be read ({error or 'the line is too long'})") from None
    if not cells:
        raise InputError(where, found="the table is empty", expected="a header line with column names")
    if len(cells) == 1:
        delimiter, cells = _sniff(lines.record, cells, delimiter)
    problem = text_problem("".join(cells))
    if problem is not None:
        fix = "save the table as UTF-8"
        raise InputError(where, found=f"the header is no text ({problem})", expected="UTF-8", fix=fix)
    columns = tuple(cell.strip() or f"column_{number}" for number, cell in enumerate(cells, start=1))
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InputError(where, found=f"column '{repeated[0]}' stands twice", fix="rename one of them")
    return _Header(columns, delimiter)


def _sniff(record: list[str], cells: list[str], delimiter: str) -> tuple[str, list[str]]:
    """A header of one column that another delimiter divides: spreadsheets of half the world write semicolons."""
    for other in _OTHER_DELIMITERS:
        divided = next(csv.reader(record, delimiter=other), [])
        if len(divided) > 1:
            return other, divided
    return delimiter, cells


class _Rows:
    """Rows below a header. After a broken record the csv module starts afresh with the line that follows."""

    def __init__(self, lines: _Lines, header: _Header, columns: Collection[str] | None, file: str) -> None:
        self._lines = lines
        self._columns, self._delimiter = header
        self._wanted = [(at, name) for at, name in enumerate(header.columns) if columns is None or name in columns]
        self._file = file

    def read(self) -> Iterator[RawRow]:
        """All of them."""
        lines, width = self._lines, len(self._columns)
        reader = csv.reader(lines, delimiter=self._delimiter)
        while True:
            lines.begin()
            line = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _TooLong) as error:
                long = f"longer than {MAX_ROW_CHARS:,} characters"
                yield self._broken(line, long if isinstance(error, _TooLong) else str(error))
                reader = csv.reader(lines, delimiter=self._delimiter)
                continue
            except DAMAGED as error:
                yield self._bad(line, {}, f"the file is cut off or damaged here, and the rest is lost ({error})")
                return
            record = lines.record
            # Nearly all rows are like this, so they take the short way.
            if len(record) == 1 and len(cells) == width and _is_plain(record[0], cells):
                yield RawRow(line, self._row(cells), NO_BLOBS, None, self._file)
            elif _is_broken(record, cells, self._delimiter):
                yield self._broken(line, "a quote is opened here and not closed")
                reader = csv.reader(lines, delimiter=self._delimiter)
            elif cells:
                yield self._checked(line, cells)

    def _row(self, cells: list[str]) -> dict[str, str]:
        if len(self._wanted) == len(self._columns):
            return dict(zip(self._columns, cells, strict=False))
        return {name: cells[at] for at, name in self._wanted if at < len(cells)}

    def _checked(self, line: int, cells: list[str]) -> RawRow:
        mended, problem = _mended(cells)
        if problem is None and len(cells) != len(self._columns):
            problem = f"{len(cells)} cells, the header has {len(self._columns)}"
        row = self._row(mended)
        return RawRow(line, row, file=self._file) if problem is None else self._bad(line, row, problem)

    def _broken(self, line: int, problem: str) -> RawRow:
        """A record that cannot be what its writer meant; in one of several lines a quote is to blame, and one goes."""
        if len(self._lines.record) == 1:
            return self._bad(line, {}, problem)
        cells = next(csv.reader(self._lines.record[:1], delimiter=self._delimiter), [])
        self._lines.read_again_after_first()
        row = self._row([cell.rstrip("\r\n") for cell in _mended(cells).cells])
        return self._bad(
            line, row, "a quote is opened here and not closed in the row; the next line is read as a new row"
        )

    def _bad(self, line: int, row: dict[str, str], problem: str) -> RawRow:
        return RawRow(line, row, problem=f"{place(line, self._file)}: {problem}", file=self._file)


def _is_plain(text: str, cells: list[str]) -> bool:
    """Whether a line of the right width can hold nothing amiss: whole, ASCII, without NUL and open quotes."""
    return text.isascii() and text[-1] in _LINE_ENDS and "\x00" not in text and cells[-1][-1:] not in _LINE_ENDS


def _is_broken(record: list[str], cells: list[str], delimiter: str) -> bool:
    """Whether a quote is amiss. The lax rule glues rows together at a stray one, so several lines must be strict."""
    if len(record) > 1:
        return _quoting_error(record, delimiter) is not None
    # Only the last line of a file can end inside a quote, and then it has no end or takes it into a cell.
    may_be_open = record[0][-1] not in _LINE_ENDS or (bool(cells) and cells[-1][-1:] in _LINE_ENDS)
    return may_be_open and _quoting_error(record, delimiter) == _OPEN


def _quoting_error(record: list[str], delimiter: str) -> str | None:
    """What the strict rule says against a record; none: nothing."""
    try:
        found = len(list(csv.reader(record, delimiter=delimiter, strict=True)))
    except csv.Error as error:
        return str(error)
    return None if found == 1 else "several rows"


class _Mended(NamedTuple):
    cells: list[str]
    problem: str | None


def _mended(cells: list[str]) -> _Mended:
    """Cells that can be written, and what was wrong with them."""
    problem = text_problem("".join(cells))
    if problem == "not UTF-8":
        cells = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in cells]
    return _Mended(cells, problem)
