"""What every table looks like from outside: named columns, and rows that can be read again from the start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nameplate.records import IngestReason

NO_BLOBS: Mapping[str, bytes | Path] = {}
"""The `blobs` of a row whose images, if any, are links."""

MAX_ROW_CHARS = 1_000_000
"""A longer row is malformed: nobody writes such a row on purpose, and an unclosed quote would swallow the table."""

MAX_IMAGE_BYTES = 256 * 1024 * 1024
"""A larger image is not read into memory; what `fetch` lets through is far smaller."""


class RawRow(NamedTuple):
    """One row of a table as it stands there.

    `line` counts from 1: the line in its file, or the number of the row. `file` says which file, in a table of several.
    `cells` is the text of each column: nested values as JSON, null as "". `blobs` holds the images themselves: bytes,
    or a file inside the table's own folder. `problem` says what is wrong with the row, with its place, and `reason`
    under which code it is rejected then.
    """

    line: int
    cells: Mapping[str, str]
    blobs: Mapping[str, bytes | Path] = NO_BLOBS
    problem: str | None = None
    file: str = ""
    reason: IngestReason = IngestReason.MALFORMED

    @property
    def place(self) -> str:
        """Where the row stands, for a person."""
        return place(self.line, self.file)


def place(line: int, file: str = "") -> str:
    """Where a row stands, for a person: "line 7", or "line 7 of part-3.csv" in a table of several files."""
    return f"line {line} of {file}" if file else f"line {line}"


class Source(ABC):
    """A table that can be read again from its start."""

    name: str
    """The table as the user wrote it."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Its columns, in order; a later row of a JSON table may have more."""

    @property
    @abstractmethod
    def image_columns(self) -> frozenset[str]:
        """Columns that hold images themselves, not links to them."""

    @abstractmethod
    def rows(self, *, limit: int | None = None, columns: Collection[str] | None = None) -> Iterator[RawRow]:
        """Rows in order, streamed; bad ones carry their `problem`.

        Args:
            limit: read at most so many; none: all.
            columns: give only these; none: all. Image bytes of a column that is not wanted are not read.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when the table does, and not with the place where it lies."""

    @property
    def folder(self) -> Path | None:
        """The folder that files named by the table may not leave; none: it names no files."""
        return None
