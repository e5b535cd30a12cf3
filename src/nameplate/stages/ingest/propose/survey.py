"""A bounded look at a table: its first rows column by column, a few of its images, and about how many rows it has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from nameplate.errors import InputError
from nameplate.stages.ingest.looks import Finding, Look, look_at
from nameplate.stages.ingest.profile import MAX_CHARS, ColumnProfile, profile_columns
from nameplate.stages.ingest.sources.base import RawRow, Source

MAX_ROWS: Final = 2_000
"""Rows that are looked at."""
MAX_COUNTED: Final = 100_000
"""Rows that are counted, in a table on this machine; a longer one has "more than" so many."""
MAX_SECONDS: Final = 20.0
"""A slow table is looked at no longer than this."""
NUM_IMAGES: Final = 3
"""Images that are opened."""


@dataclass(frozen=True)
class Survey:
    """What was seen of a table."""

    source: Source
    columns: Mapping[str, ColumnProfile]
    findings: Mapping[str, Finding]
    cells: tuple[Mapping[str, str], ...]
    """The rows that were looked at, cells clipped, without images."""
    num_rows: int
    """Rows in the table, as far as counted."""
    counted_all: bool
    malformed: tuple[str, ...]
    """What is wrong with rows that were looked at, each with its place."""
    images: Mapping[str, tuple[str, ...]]
    """What a few images of each image column are, or why they cannot be opened."""

    @property
    def num_looked_at(self) -> int:
        """Sound rows that were looked at."""
        return len(self.cells)

    def of_look(self, *looks: Look) -> list[str]:
        """Columns that look like one of these, in the order of `looks`."""
        return [column for look in looks for column, finding in self.findings.items() if finding.look is look]


def survey_table(source: Source, *, max_rows: int = MAX_ROWS) -> Survey:
    """Look at a table.

    Raises:
        InputError: it has no row that can be read.
    """
    plain = [column for column in source.columns if column not in source.image_columns]
    sound, malformed = _look(source, plain, max_rows)
    if not sound:
        problem = f": {malformed[0]}" if malformed else ""
        raise InputError(source.name, found=f"no row that can be read{problem}", expected="at least one row")
    seen = len(sound) + len(malformed)
    num_rows, counted_all = (seen, True) if seen < max_rows else _count(source, plain, at_least=seen)
    images = {column: _peek(source, column) for column in sorted(source.image_columns)}
    columns = profile_columns(sound, source.columns, image_columns=source.image_columns)
    return Survey(
        source=source,
        columns=columns,
        findings={column: look_at(profile) for column, profile in columns.items()},
        cells=tuple(sound),
        num_rows=num_rows,
        counted_all=counted_all,
        malformed=tuple(malformed),
        images=images,
    )


def _look(source: Source, columns: list[str], max_rows: int) -> tuple[list[Mapping[str, str]], list[str]]:
    sound: list[Mapping[str, str]] = []
    malformed: list[str] = []
    for row in _in_time(source.rows(limit=max_rows, columns=columns)):
        if row.problem is None:
            sound.append({column: cell[:MAX_CHARS] for column, cell in row.cells.items()})
        else:
            malformed.append(row.problem)
    return sound, malformed


def _count(source: Source, columns: list[str], *, at_least: int) -> tuple[int, bool]:
    """Rows of a table on this machine, by reading one column; elsewhere each row would cost a download."""
    if "://" in source.name:
        return at_least, False
    number = sum(1 for _ in _in_time(source.rows(limit=MAX_COUNTED, columns=columns[:1])))
    return max(number, at_least), number < MAX_COUNTED


def _in_time(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    started = time.monotonic()
    for row in rows:
        yield row
        if time.monotonic() - started > MAX_SECONDS:
            return


def _peek(source: Source, column: str) -> tuple[str, ...]:
    rows = source.rows(limit=NUM_IMAGES, columns=[column])
    return tuple(_describe(row.blobs.get(column)) for row in rows if row.problem is None)


def _describe(blob: bytes | Path | None) -> str:
    if blob is None:
        return "no image"
    try:
        with Image.open(BytesIO(blob) if isinstance(blob, bytes) else blob) as image:
            return f"{image.format} {image.width} x {image.height}"
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return f"cannot be opened ({type(error).__name__})"
