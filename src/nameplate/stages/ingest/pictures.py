"""Images that come with the table: their bytes go into the store as they are read, a row keeps only their name."""

from __future__ import annotations

import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from nameplate.errors import InputError
from nameplate.records import IngestReason
from nameplate.stages.ingest.sources import MAX_IMAGE_BYTES, RawRow, Source
from nameplate.store.images import ImageStore

RAW = "raw"
"""Ending, in the store, of bytes that nobody has looked at yet."""


class Picture(NamedTuple):
    """What became of a row's own image: its SHA-256 in the store, or why there is none; all None: it has none."""

    sha256: str | None = None
    reason: IngestReason | None = None
    detail: str | None = None


class Pictures:
    """Puts the images of one column into the store.

    Args:
        source: the table.
        column: its image column.
        root: `table.image_root`: where paths in the column start, and what they may not leave; none: not followed.
        nulls: cells that mean "no image".
        store: where the bytes go.
    """

    def __init__(
        self, source: Source, *, column: str, root: str | None, nulls: Collection[str], store: ImageStore
    ) -> None:
        self._column = column
        self._nulls = nulls
        self._store = store
        self._follows = root is not None
        folder = Path(root) if root is not None else source.folder
        if root is not None and not Path(root).is_dir():
            raise InputError(root, found="no such folder", fix="check table.image_root in the recipe")
        self._root = folder.resolve() if folder is not None else None
        self.are_there = self._follows or column in source.image_columns

    def take(self, row: RawRow) -> Picture:
        """Keep the row's image, if it brings one."""
        blob = row.blobs.get(self._column)
        if isinstance(blob, bytes):
            return self._put(blob)
        if blob is not None:
            return self._follow(blob)
        cell = row.cells.get(self._column, "").strip()
        if cell in self._nulls or "://" in cell:
            return Picture()
        if self._root is None or not self._follows:
            detail = f"'{cell}' names a file that does not come with the table; table.image_root could say where it is"
            return _no(IngestReason.MISSING_FILE, detail)
        return self._follow(self._root / cell)

    def _follow(self, path: Path) -> Picture:
        assert self._root is not None, "a source that names files has a folder"
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._root):
                return _no(IngestReason.FILE_BLOCKED, f"'{path}' leads out of {self._root}")
            state = real.stat()
            # Looked at before it is opened: a pipe of the same name would wait for ever.
            if not stat.S_ISREG(state.st_mode):
                return _no(IngestReason.FILE_BLOCKED, f"'{path}' is no ordinary file")
            if state.st_size > MAX_IMAGE_BYTES:
                return _no(IngestReason.FILE_BLOCKED, f"'{path}' is larger than {MAX_IMAGE_BYTES:,} bytes")
            return self._put(real.read_bytes())
        except (OSError, ValueError, RuntimeError) as error:
            return _no(IngestReason.MISSING_FILE, f"'{path}' cannot be read ({type(error).__name__})")

    def _put(self, data: bytes) -> Picture:
        if not data:
            return _no(IngestReason.MISSING_IMAGE, f"'{self._column}' holds an image of no bytes")
        return Picture(sha256=self._store.put(data, RAW))


def _no(reason: IngestReason, detail: str) -> Picture:
    return Picture(reason=reason, detail=detail)
