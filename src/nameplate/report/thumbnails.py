"""Thumbnails: small WebP pictures that travel inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from nameplate.store.images import ImageStore

MAX_BYTES: Final = 25_000
GALLERY_SIDE: Final = 288
EXAMPLE_SIDE: Final = 112
QUALITIES: Final = (82, 68, 52, 36, 20)
PAPER: Final = (255, 255, 255)


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
    return _of_file(images.path(sha256, ext), side)


def encode(image: Image.Image, *, max_bytes: int = MAX_BYTES) -> bytes:
    """WebP of at most `max_bytes` bytes: the quality goes down first, then the size."""
    while True:
        for quality in QUALITIES:
            buffer = io.BytesIO()
            image.save(buffer, "WEBP", quality=quality, method=4)
            if buffer.tell() <= max_bytes:
                return buffer.getvalue()
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))


def _of_file(path: Path, side: int) -> Thumbnail | None:
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * side, 2 * side))
            image = _flat(ImageOps.exif_transpose(opened), side)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # Pillow's own ways of saying that a file is gone, broken or too large; the page then says "no picture".
        return None
    data = base64.b64encode(encode(image)).decode("ascii")
    return Thumbnail(f"data:image/webp;base64,{data}", image.width, image.height)


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
