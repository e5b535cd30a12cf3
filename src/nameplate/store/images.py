"""The image store: a file is named by its content, so links may share it and no name can collide."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nameplate.store.files import write_bytes


class ImageStore:
    """Images under `root/ab/cd/SHA256.ext`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str, ext: str) -> Path:
        """Where an image is, or would be."""
        return self.root / sha256[:2] / sha256[2:4] / f"{sha256}.{ext}"

    def put(self, data: bytes, ext: str) -> str:
        """Keep `data` and return its SHA-256; a second copy costs nothing."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256, ext)
        if not path.exists():
            write_bytes(path, data)
        return sha256

    def read(self, sha256: str, ext: str) -> bytes:
        """The bytes of a kept image."""
        return self.path(sha256, ext).read_bytes()
