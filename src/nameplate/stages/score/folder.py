"""The folder of images without any name (`score.guards.unnamed`): which of them are looked at, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nameplate.errors import InputError
from nameplate.store.fingerprint import file_fingerprint, fingerprint

MOST: Final = 200
"""Images of a folder that are looked at, the first by name."""
EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp", "gif", "bmp")


def find_images(folder: str) -> list[Path]:
    """Images of a folder, on all levels, by name, at most 200.

    Raises:
        InputError: the folder is not there or holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(folder, found="no such folder", fix="check score.guards.unnamed in the recipe")
    files = (path for path in root.rglob("*") if path.is_file())
    paths = sorted(path for path in files if path.suffix.lower().lstrip(".") in EXTENSIONS)
    if not paths:
        raise InputError(folder, found="no image in it", expected=f"files ending in {', '.join(EXTENSIONS)}")
    return paths[:MOST]


def images_fingerprint(folder: str) -> str:
    """SHA-256 (hex) over the names and bytes of the images that are looked at.

    Raises:
        InputError: as `find_images`.
    """
    return fingerprint([(path.relative_to(folder), file_fingerprint(path)) for path in find_images(folder)])
