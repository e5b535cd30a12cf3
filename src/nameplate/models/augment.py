"""Images that differ a little each time they are seen, as another photograph of the same thing would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance

from nameplate.models.imagebatch import ImageBatch, PreparedImage
from nameplate.models.images import ImageCache, ImageKey

LEAST_SIDE: Final = 0.92
"""Share of each side that stays at least: a name at the edge must not be cut away."""
LIGHT: Final = 0.15
"""Brightness and contrast change by at most this share. Colours stay as they are: captions say them."""


def careful(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A slightly smaller part of a picture, in another light, at the picture's own size. Never mirrored or turned."""
    share = generator.uniform(LEAST_SIDE, 1)
    left, top = ((1 - share) * generator.random() * side for side in picture.size)
    box = (left, top, left + share * picture.width, top + share * picture.height)
    changed = picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        changed = kind(changed).enhance(generator.uniform(1 - LIGHT, 1 + LIGHT))
    return changed


class AugmentedImages:
    """Images with small changes, by seed, epoch and row alone. Nothing is kept: every epoch has other ones.

    Args:
        images: where they are, and how a model reads them.
        seed: of the changes.
    """

    def __init__(self, images: ImageCache, *, seed: int) -> None:
        self._images = images
        self._seed = seed

    def batch(self, keys: Sequence[ImageKey], *, rows: Sequence[int], epochs: Sequence[int]) -> ImageBatch:
        """Images as a model reads them.

        Args:
            keys: which.
            rows: the training row that each belongs to.
            epochs: the epoch that each is seen in.
        """
        seen = zip(keys, rows, epochs, strict=True)
        return self._images.processor.batch([self._prepared(key, row, epoch) for key, row, epoch in seen])

    def _prepared(self, key: ImageKey, row: int, epoch: int) -> PreparedImage:
        generator = np.random.default_rng([self._seed, epoch, row])
        return self._images.processor.prepare(careful(self._images.picture(key), generator))
