"""Images as models read them, decoded once and kept in memory at the model's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from nameplate.errors import InputError
from nameplate.models.processing import Processor, Thumbnail
from nameplate.store.images import ImageStore

DEFAULT_BUDGET = 2 << 30
"""Most bytes of thumbnails kept in memory."""


class ImageKey(NamedTuple):
    """Where an image is in the store."""

    sha256: str
    ext: str


class ImageCache:
    """Thumbnails by content. Within its budget no image is decoded twice; beyond it, each time anew.

    Args:
        store: where the files are.
        processor: decides the size.
        max_bytes: the budget.
    """

    def __init__(self, store: ImageStore, processor: Processor, *, max_bytes: int = DEFAULT_BUDGET) -> None:
        self.store = store
        self.processor = processor
        self.num_decoded = 0
        self._room = max_bytes
        self._kept: dict[str, Thumbnail] = {}

    def thumbnail(self, key: ImageKey) -> Thumbnail:
        """One image, (S, S, 3) uint8.

        Raises:
            InputError: the store has no such image, or it cannot be decoded.
        """
        kept = self._kept.get(key.sha256)
        if kept is not None:
            return kept
        path = self.store.path(key.sha256, key.ext)
        try:
            thumbnail = self.processor.thumbnail(self.store.read(key.sha256, key.ext))
        except FileNotFoundError:
            raise InputError(str(path), found="missing", fix="run fetch again") from None
        except InputError as error:
            raise InputError(str(path), found=error.found, fix=error.fix) from None
        self.num_decoded += 1
        if thumbnail.nbytes <= self._room:
            self._room -= thumbnail.nbytes
            self._kept[key.sha256] = thumbnail
        return thumbnail

    def pixels(self, keys: Sequence[ImageKey]) -> torch.Tensor:
        """Images as a model reads them, (num_images, 3, S, S) float32."""
        return self.processor.normalise([self.thumbnail(key) for key in keys])
