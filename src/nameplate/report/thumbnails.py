"""Thumbnails: small WebP pictures that travel inside the page."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image, ImageOps

from nameplate.errors import RunDirectoryError
from nameplate.store.files import write_bytes
from nameplate.store.images import ImageStore

MAX_BYTES: Final = 25_000
GALLERY_SIDE: Final = 288
EXAMPLE_SIDE: Final = 112
QUALITIES: Final = (82, 68, 52, 36, 20)
PAPER: Final = (255, 255, 255)


class Size(NamedTuple):
    """The longer side of a thumbnail in pixels, and its bytes at most."""

    side: int
    max_bytes: int


_UNREADABLE: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""Pillow's own ways of saying that a file is gone, broken or too large; the page then says "no picture"."""
SIZES: Final = (
    Size(GALLERY_SIDE, MAX_BYTES), Size(240, 14_000), Size(208, 9_500), Size(176, 6_500), Size(144, 4_300),
    Size(112, 2_900), Size(96, 2_000),
)  # fmt: skip
"""From large to small: so many pixels look right at so many bytes."""


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int


def thumbnail(images: ImageStore, sha256: str | None, ext: str | None, *, side: int) -> Thumbnail | None:
    """A stored image with its longer side at most `side` pixels; None when it is not there or cannot be read."""
    if not sha256 or not ext:
        return None
    return _of_file(images.path(sha256, ext), Size(side, MAX_BYTES))


def thumbnails(
    images: ImageStore, files: Sequence[tuple[str | None, str | None]], *, size: Size, made: Path
) -> list[Thumbnail | None]:
    """Many images (SHA-256 and extension) at once, on all cores: Pillow lets go of Python's lock while it works.

    Those that were made before lie in the folder `made`, by content and size; runs that share a store share them.
    """
    known = ImageStore(made / f"{size.side}-{size.max_bytes}")

    def one(file: tuple[str | None, str | None]) -> Thumbnail | None:
        sha256, ext = file
        return _known(images.path(sha256, ext), known.path(sha256, "webp"), size) if sha256 and ext else None

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        distinct = dict.fromkeys(files)
        found = dict(zip(distinct, pool.map(one, distinct), strict=True))
    return [found[file] for file in files]


def fitting(room: int) -> Size:
    """The largest size whose pictures take no more than `room` bytes each; the smallest where none does."""
    return next((size for size in SIZES if size.max_bytes <= room), SIZES[-1])


def encode(image: Image.Image, *, max_bytes: int = MAX_BYTES) -> bytes:
    """WebP of at most `max_bytes` bytes: the quality goes down first, then the size."""
    while True:
        for quality in QUALITIES:
            buffer = io.BytesIO()
            image.save(buffer, "WEBP", quality=quality, method=2)
            if buffer.tell() <= max_bytes:
                return buffer.getvalue()
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))


def _of_file(path: Path, size: Size) -> Thumbnail | None:
    data = _webp(path, size)
    return _read(data) if data is not None else None


def _known(path: Path, kept: Path, size: Size) -> Thumbnail | None:
    with suppress(*_UNREADABLE):
        return _read(kept.read_bytes())
    data = _webp(path, size)
    if data is None:
        return None
    # Without a place to keep it, it is made again next time.
    with suppress(RunDirectoryError, OSError):
        write_bytes(kept, data, durable=False)
    return _read(data)


def _webp(path: Path, size: Size) -> bytes | None:
    try:
        with Image.open(path) as opened:
            # A JPEG is read at an eighth, a quarter or half of its size where that is enough to shrink from.
            opened.draft("RGB", (size.side * 3 // 2, size.side * 3 // 2))
            return encode(_flat(ImageOps.exif_transpose(opened), size.side), max_bytes=size.max_bytes)
    except _UNREADABLE:
        return None


def _read(data: bytes) -> Thumbnail:
    if len(data) != 8 + int.from_bytes(data[4:8], "little"):
        raise ValueError("a WebP says how long it is, and this one is shorter")
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        uri = base64.b64encode(data).decode("ascii")
        return Thumbnail(f"data:image/webp;base64,{uri}", image.width, image.height)


def _flat(image: Image.Image, side: int) -> Image.Image:
    """RGB on white paper, shrunk to fit; never enlarged."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (*PAPER, 255))
        paper.alpha_composite(image)
        image = paper
    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image
