"""A table in one file, or in several of one kind that are read one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from itertools import islice
from typing import Protocol

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.arrow import ArrowIpc, Parquet
from nameplate.stages.ingest.sources.base import RawRow, Source, place
from nameplate.stages.ingest.sources.delimited import Delimited
from nameplate.stages.ingest.sources.jsonarray import Json
from nameplate.stages.ingest.sources.jsonlines import JsonLines
from nameplate.stages.ingest.sources.places import TableFile, files_fingerprint
from nameplate.stages.ingest.sources.tars import WebDataset


class FileReader(Protocol):
    """How files of one kind are read."""

    def columns(self, file: TableFile) -> tuple[str, ...]:
        """Its columns; InputError when the file is not of the kind."""
        ...

    def image_columns(self, file: TableFile) -> frozenset[str]:
        """Those of them that hold images."""
        ...

    def rows(self, file: TableFile, columns: Collection[str] | None) -> Iterator[RawRow]:
        """Its rows, streamed."""
        ...


READERS: dict[str, Callable[[], FileReader]] = {
    ".csv": Delimited,
    ".tsv": Delimited,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": Json,
    ".parquet": Parquet,
    ".arrow": ArrowIpc,
    ".feather": ArrowIpc,
    ".tar": WebDataset,
}
"""By ending, without the compression's."""


class FilesSource(Source):
    """Files of one kind, in name order."""

    def __init__(self, name: str, files: tuple[TableFile, ...], reader: FileReader) -> None:
        self.name = name
        self._files = files
        self._reader = reader
        # Whatever is wrong with the table as a whole shows now, not when the first row is asked for.
        assert self.columns is not None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the first file."""
        return self._reader.columns(self._files[0])

    @cached_property
    def image_columns(self) -> frozenset[str]:
        """The image columns of the first file."""
        return self._reader.image_columns(self._files[0])

    def rows(self, *, limit: int | None = None, columns: Collection[str] | None = None) -> Iterator[RawRow]:
        """File after file; see `Source.rows`."""
        return islice(self._rows(columns), limit)

    def fingerprint(self) -> str:
        """Of all files; see `files_fingerprint`."""
        return files_fingerprint(self._files)

    def _rows(self, columns: Collection[str] | None) -> Iterator[RawRow]:
        for file in self._files:
            try:
                yield from self._reader.rows(file, columns)
            except InputError as error:
                if len(self._files) == 1:
                    raise
                # One file of many that is not a table at all is one bad row: the others are as good as ever.
                yield RawRow(1, {}, problem=f"{place(1, file.label)}: {error.found}", file=file.label)
            except OSError as error:
                fix = "run the same command again; it continues"
                raise InputError(file.where, found=f"cannot be read on ({error})", fix=fix) from error


def one_kind(source: str, files: tuple[TableFile, ...]) -> str:
    """The ending that all files of a table share.

    Raises:
        InputError: there are several, or it is not one that we read.
    """
    endings = sorted({file.suffixes[0] for file in files})
    known = [ending for ending in endings if ending in READERS]
    if len(known) == 1 and len(files) > 1:
        return known[0]
    if len(known) > 1:
        raise InputError(
            source,
            found="files of several kinds: " + ", ".join(known),
            expected="one kind",
            fix=f"name one by a glob, such as {source.rstrip('/')}/*{known[0]}",
        )
    if not known:
        expected = "one of " + ", ".join(READERS)
        raise InputError(source, found="ending " + " ".join(f"'{one}'" for one in endings), expected=expected)
    return known[0]
