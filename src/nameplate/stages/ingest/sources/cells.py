"""Any value of a table as the text of one cell."""

from __future__ import annotations

import json

IMAGE_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
"""Endings of files that are taken for images; what they are is seen when they are decoded."""

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1"})


def as_text(value: object) -> str:
    """Text as it is, null as "", anything else as JSON.

    Raises:
        UnicodeDecodeError: bytes that are no UTF-8 text.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return json.dumps(value, ensure_ascii=False, default=str)


def text_problem(text: str) -> str | None:
    """What makes a text unfit for a table of texts; none: nothing."""
    if "\x00" in text:
        return "holds a NUL character"
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "not UTF-8"
    return None


def looks_like_image(data: bytes) -> bool:
    """Whether bytes begin as an image of a kind that we know does."""
    if data.startswith(_STARTS) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return True
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS
