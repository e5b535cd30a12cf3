"""The image store: a file is named by its content, so links may share it and no name can collide."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from nameplate.store.files import explaining_disk_errors, write_bytes

RAW: Final = "raw"
"""Extension of an image that came with a table, as it came: not yet looked at."""


class ImageStore:
    """Images under `root/ab/cd/SHA256.ext`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str, ext: str) -> Path:
        """Where an image is, or would be."""
        return self.root / sha256[:2] / sha256[2:4] / f"{sha256}.{ext}"

    def put(self, data: bytes, ext: str) -> str:
        """Keep `data` and return its SHA-256; a second copy costs nothing.

        Raises:
            RunDirectoryError: the disk is full or the folder cannot be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256, ext)
        if _size(path) != len(data):
            # Not synced: waiting for the disk costs more than all else here. A kill takes nothing back; after a power
            # cut a file may be short, which its size shows, and the link is asked again.
            write_bytes(path, data, durable=False)
        return sha256

    def name_again(self, sha256: str, ext: str, new_ext: str) -> None:
        """Give a kept image a second extension, without a second copy where the file system has hard links.

        Raises:
            RunDirectoryError: the disk is full or the folder cannot be written.
        """
        path, new_path = self.path(sha256, ext), self.path(sha256, new_ext)
        if _size(new_path) == _size(path):
            return
        with explaining_disk_errors(new_path), suppress(FileExistsError):
            new_path.unlink(missing_ok=True)
            try:
                os.link(path, new_path)
            except FileExistsError:
                raise
            except OSError:
                write_bytes(new_path, path.read_bytes(), durable=False)

    def read(self, sha256: str, ext: str) -> bytes:
        """The bytes of a kept image."""
        return self.path(sha256, ext).read_bytes()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
