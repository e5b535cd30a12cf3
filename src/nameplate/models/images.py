"""Images as models read them, decoded once and kept at the model's size: in memory, or on disk from before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from PIL import Image

from nameplate.errors import InputError
from nameplate.models.imagebatch import ImageBatch, PreparedImage
from nameplate.models.pictures import read_picture, read_size
from nameplate.models.processing import Processor
from nameplate.models.tiling import ImageSize
from nameplate.store.images import ImageStore

DEFAULT_BUDGET = 2 << 30
"""Most bytes of prepared images kept in memory."""


class ImageKey(NamedTuple):
    """Where an image is in the store."""

    sha256: str
    ext: str


class Shelf(Protocol):
    """Prepared images from before."""

    def find(self, key: ImageKey) -> PreparedImage | None:
        """One image; none: it is not there."""


class ImageCache:
    """Prepared images by content. Within its budget no image is decoded twice; beyond it, each time anew.

    Args:
        store: where the files are.
        processor: decides what is made of them.
        max_bytes: the budget, in memory.
    """

    def __init__(self, store: ImageStore, processor: Processor, *, max_bytes: int = DEFAULT_BUDGET) -> None:
        self.store = store
        self.processor = processor
        self.shelf: Shelf | None = None
        """Looked at before an image is decoded; none: there is none."""
        self.num_decoded = 0
        self._room = max_bytes
        self._kept: dict[str, PreparedImage] = {}

    def prepared(self, key: ImageKey) -> PreparedImage:
        """One image.

        Raises:
            InputError: the store has no such image, or it cannot be decoded.
        """
        kept = self._kept.get(key.sha256)
        if kept is None and self.shelf is not None:
            kept = self.shelf.find(key)
        if kept is not None:
            return kept
        data = self._read(key)
        try:
            image = self.processor.prepare(data)
        except InputError as error:
            raise self._blaming(key, error) from None
        self.num_decoded += 1
        if image.num_bytes <= self._room:
            self._room -= image.num_bytes
            self._kept[key.sha256] = image
        return image

    def picture(self, key: ImageKey) -> Image.Image:
        """One image decoded anew, upright, RGB, at its own size.

        Raises:
            InputError: the store has no such image, or it cannot be decoded.
        """
        data = self._read(key)
        try:
            return read_picture(data)
        except InputError as error:
            raise self._blaming(key, error) from None

    def unkept(self) -> ImageCache:
        """The same images with nothing kept in memory, for those who look at each once."""
        plain = ImageCache(self.store, self.processor, max_bytes=0)
        plain.shelf = self.shelf
        return plain

    def batch(self, keys: Sequence[ImageKey]) -> ImageBatch:
        """Images as a model reads them."""
        return self.processor.batch([self.prepared(key) for key in keys])

    def sizes(self, keys: Sequence[ImageKey]) -> list[ImageSize | None]:
        """What `Processor.encode` needs to know of images; none where it needs nothing, so that no file is read."""
        if not self.processor.by_size:
            return [None] * len(keys)
        return [self.size(key) for key in keys]

    def size(self, key: ImageKey) -> ImageSize:
        """Sides of the upright image, from its header.

        Raises:
            InputError: the store has no such image, or it cannot be read.
        """
        kept = self._kept.get(key.sha256)
        if kept is None and self.shelf is not None:
            kept = self.shelf.find(key)
        if kept is not None:
            return kept.size
        data = self._read(key)
        try:
            return read_size(data)
        except InputError as error:
            raise self._blaming(key, error) from None

    def _read(self, key: ImageKey) -> bytes:
        try:
            return self.store.read(key.sha256, key.ext)
        except FileNotFoundError:
            path = self.store.path(key.sha256, key.ext)
            raise InputError(str(path), found="missing", fix="run fetch again") from None

    def _blaming(self, key: ImageKey, error: InputError) -> InputError:
        return InputError(str(self.store.path(key.sha256, key.ext)), found=error.found, fix=error.fix)
