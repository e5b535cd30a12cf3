"""Folders of images, as the `imagefolder` builder of `datasets` lays them out: with metadata, with classes, or bare."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.base import NO_BLOBS, RawRow, Source, place
from nameplate.stages.ingest.sources.cells import IMAGE_ENDINGS, text_problem
from nameplate.stages.ingest.sources.files import READERS
from nameplate.stages.ingest.sources.places import TableFile, files_fingerprint

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME, IMAGE, LABEL = "file_name", "image", "label"


class ImageFolder(Source):
    """Images of one folder and those below it.

    With metadata files, their rows come in order, each `file_name` read from the metadata's own folder; images that no
    metadata names come after them. Without, the images come in name order, and their folder's name is the `label`.
    """

    def __init__(self, name: str, files: tuple[TableFile, ...]) -> None:
        self.name = name
        self._root = Path(name)
        self._metadata = [file for file in files if Path(file.path).name in METADATA]
        self._images = [file for file in files if Path(file.path).suffix.lower() in IMAGE_ENDINGS]
        self._files = files
        assert self.columns is not None

    @property
    def folder(self) -> Path:
        """The folder itself: no `file_name` may lead out of it."""
        return self._root

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """`file_name`, `image`, and the metadata's columns or `label`."""
        if not self._metadata:
            return (FILE_NAME, IMAGE, LABEL) if self._has_labels else (FILE_NAME, IMAGE)
        names: dict[str, None] = {}
        for file in self._metadata:
            own = READERS[file.suffixes[0]]().columns(file)
            if FILE_NAME not in own:
                raise InputError(file.where, found=f"no column '{FILE_NAME}'", expected="one of " + ", ".join(own))
            names.update(dict.fromkeys(name for name in own if name not in (FILE_NAME, IMAGE)))
        return (FILE_NAME, IMAGE, *names)

    @property
    def image_columns(self) -> frozenset[str]:
        """The images."""
        return frozenset({IMAGE})

    def rows(self, *, limit: int | None = None, columns: Collection[str] | None = None) -> Iterator[RawRow]:
        """See `Source.rows`; a row's image is a path, and nothing is opened here."""
        wanted = set(self.columns if columns is None else columns)
        return islice(self._described(wanted) if self._metadata else self._bare(wanted), limit)

    def fingerprint(self) -> str:
        """Of all files; see `files_fingerprint`."""
        return files_fingerprint(self._files)

    @cached_property
    def _has_labels(self) -> bool:
        """Whether images lie in class folders; one folder alone tells nothing apart."""
        return len({Path(file.label).parent.name for file in self._images if "/" in file.label}) > 1

    def _bare(self, wanted: set[str]) -> Iterator[RawRow]:
        for line, file in enumerate(self._images, start=1):
            yield self._row(line, file.label, {LABEL: Path(file.label).parent.name}, wanted)

    def _described(self, wanted: set[str]) -> Iterator[RawRow]:
        named: set[str] = set()
        for file in self._metadata:
            folder = PurePosixPath(file.label).parent
            for row in READERS[file.suffixes[0]]().rows(file, {*wanted - {IMAGE}, FILE_NAME}):
                if row.problem is not None:
                    yield row
                    continue
                path = posixpath.normpath(str(folder / row.cells[FILE_NAME])) if row.cells.get(FILE_NAME) else ""
                named.add(path)
                yield self._row(row.line, path, row.cells, wanted)._replace(file=row.file)
        for line, file in enumerate((file for file in self._images if file.label not in named), start=1):
            yield self._row(line, file.label, {}, wanted)._replace(file=f"{self._root.name} without metadata")

    def _row(self, line: int, path: str, cells: Mapping[str, str], wanted: set[str]) -> RawRow:
        cells = {FILE_NAME: path, **cells, IMAGE: path}
        own = {name: cell for name, cell in cells.items() if name in wanted}
        blobs = {IMAGE: self._root / path} if IMAGE in wanted and path else NO_BLOBS
        problem = text_problem(path)
        if problem is None:
            return RawRow(line, own, blobs)
        own = {name: cell.encode("utf-8", "replace").decode("utf-8") for name, cell in own.items()}
        return RawRow(line, own, problem=f"{place(line)}: file name {problem}")
