"""What is to be looked at: image files, folders of them, and tables with an image column; in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from nameplate.errors import InputError
from nameplate.records import IngestReason
from nameplate.stages.ingest import Source, open_source
from nameplate.stages.ingest.looks import Look, look_at
from nameplate.stages.ingest.profile import profile_columns
from nameplate.stages.ingest.sources import RawRow
from nameplate.stages.ingest.sources.cells import IMAGE_ENDINGS
from nameplate.stages.ingest.sources.files import READERS
from nameplate.stages.ingest.sources.places import TableFile, find_files, is_local

ROWS_TO_LOOK_AT: Final = 200
"""Of a table, to see which column holds the images."""
_LOOKS: Final = (Look.IMAGE, Look.IMAGE_FILE)


class Input(NamedTuple):
    """One image to come, or the reason why there is none."""

    path: str
    """For the reader: as given, or as the table has it."""
    image: Path | bytes | None
    reason: IngestReason | None = None
    detail: str = ""


class Inputs:
    """All images that some arguments stand for; may be gone through again.

    Args:
        given: files, folders, tables.
        column: image column of the tables; none: the one that looks so.

    Raises:
        InputError: one of them is not there, holds no image, or is a table whose image column is not known.
    """

    def __init__(self, given: Sequence[str], *, column: str | None = None) -> None:
        self.left_out = 0
        """Files of folders that are no images by their ending."""
        self._parts = [self._open(text, column) for text in given]

    def __iter__(self) -> Iterator[Input]:
        for part in self._parts:
            yield from part

    @cached_property
    def num_images(self) -> int:
        """How many there are; tables are read once for it."""
        return sum(1 for _ in self)

    def _open(self, text: str, column: str | None) -> _Files | _Table:
        path = Path(text)
        if path.is_dir():
            files = _files_of(text)
            images = [file.path for file in files if PurePosixPath(file.path).suffix.lower() in IMAGE_ENDINGS]
            tables = any(file.suffixes[0] in READERS for file in files)
            if images or not tables:
                self.left_out += len(files) - len(images)
                return _Files(_some(images, text))
        elif is_local(text) and TableFile(text).suffixes[0] not in READERS:
            if not path.exists():
                raise InputError(text, found="no such file or folder", fix="check the path")
            return _Files([text])
        elif is_local(text) and not path.exists():
            raise InputError(text, found="no such table", fix="check the path")
        return _Table(text, column)


class _Files:
    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[Input]:
        for path in self._paths:
            # A name that is no UTF-8 could not be written into a table.
            yield Input(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), Path(path))


class _Table:
    def __init__(self, text: str, column: str | None) -> None:
        self._source = open_source(text)
        self._column = _image_column(self._source, column)
        self._folder = Path(text).parent if is_local(text) and not Path(text).is_dir() else Path(text)

    def __iter__(self) -> Iterator[Input]:
        for row in self._source.rows(columns=[self._column]):
            yield self._input(row)

    def _input(self, row: RawRow) -> Input:
        cell = row.cells.get(self._column, "").strip()
        if row.problem is not None:
            return Input(cell or row.place, None, row.reason, row.problem)
        blob = row.blobs.get(self._column)
        if blob is not None:
            return Input(cell or row.place, blob)
        if not cell:
            return Input(row.place, None, IngestReason.MISSING_IMAGE, f"'{self._column}' is empty")
        if "://" in cell:
            return Input(cell, None, IngestReason.MISSING_FILE, "a link, and only files are read here; fetch it first")
        return Input(cell, self._folder / cell)


def _files_of(folder: str) -> tuple[TableFile, ...]:
    try:
        return find_files(folder)
    except InputError:
        # There is nothing in it, which is said in our words.
        return ()


def _some(images: list[str], text: str) -> list[str]:
    if not images:
        raise InputError(text, found="no image in it", expected="files that end in " + ", ".join(sorted(IMAGE_ENDINGS)))
    return images


def _image_column(source: Source, wanted: str | None) -> str:
    columns = ", ".join(source.columns)
    if wanted is not None:
        if wanted not in source.columns:
            raise InputError(source.name, found=f"no column '{wanted}'", expected=f"one of {columns}")
        return wanted
    plain = [column for column in source.columns if column not in source.image_columns]
    rows = [row.cells for row in source.rows(limit=ROWS_TO_LOOK_AT, columns=plain) if row.problem is None]
    profiles = profile_columns(rows, source.columns, image_columns=source.image_columns)
    looks = {column: look_at(profile).look for column, profile in profiles.items()}
    found = [column for column, look in looks.items() if look in _LOOKS]
    if len(found) == 1:
        return found[0]
    links = [column for column, look in looks.items() if look is Look.IMAGE_LINK]
    said = "several columns of images: " + ", ".join(found) if found else "no column that looks like image files"
    if links and not found:
        said += f" ({links[0]} holds links, and only files are read here)"
    raise InputError(source.name, found=said, fix=f"say which with --column (there are {columns})")
