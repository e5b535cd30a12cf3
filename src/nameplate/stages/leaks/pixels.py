"""Whether two images are one picture. A perceptual hash cannot say: it knows no colour, and little of a small mark."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nameplate.store.images import ImageStore

CELLS: Final = 16
"""Images are compared in so many times so many cells."""
ONE_PICTURE: Final = 0.2
"""Largest difference of a cell's red, green or blue, of full brightness, between two copies of one picture.

Measured on products of the demo (192 x 192, tests/stages/test_leaks_likeness.py): copies differ by 0.10 at most (JPEG
of quality 30 0.04, WebP of quality 50 0.04, halved 0.02, taken down to 63 % without smoothing 0.10, halved and then
JPEG of quality 40 0.09), different products whose hashes are 14 bits apart or less by 0.50 at least; in its whole shop
the closest of 374 pairs that are up to 10 bits apart differ by 0.28.
"""
_DRAFT_SIDE: Final = 4 * CELLS
_REMEMBERED: Final = 8192


class StoredImage(NamedTuple):
    """Where an image is in the store."""

    sha256: str
    ext: str


class Likeness:
    """Compares stored images; of each the cells are remembered for a while."""

    def __init__(self, images: ImageStore) -> None:
        self.unreadable = 0
        """Images that are gone or cannot be decoded."""
        self._images = images
        self._cells = lru_cache(maxsize=_REMEMBERED)(self._look)

    def difference(self, one: StoredImage, other: StoredImage) -> float | None:
        """That of the cell in which they differ most, 0 to 1; none: one of them cannot be read."""
        first, second = self._cells(one), self._cells(other)
        if first is None or second is None:
            return None
        return float(np.abs(first - second).max())

    def _look(self, image: StoredImage) -> NDArray[np.float32] | None:
        try:
            with Image.open(self._images.path(image.sha256, image.ext)) as opened:
                opened.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))
                small = opened.convert("RGB").resize((CELLS, CELLS), Image.Resampling.BOX)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            self.unreadable += 1
            return None
        return np.asarray(small, dtype=np.float32) / np.float32(255)
