"""Bytes to an upright RGB picture, and its size without decoding it."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageOps

from nameplate.errors import InputError
from nameplate.models.tiling import ImageSize

_ORIENTATION: Final = 0x0112
_SIDEWAYS: Final = (5, 6, 7, 8)
"""EXIF orientations whose sides are exchanged."""


def read_picture(image: bytes | Image.Image) -> Image.Image:
    """The picture, upright by EXIF, transparency over white, RGB.

    Raises:
        InputError: the bytes are no image.
    """
    try:
        picture = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
        return _over_white(ImageOps.exif_transpose(picture))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(error) from None


def read_size(image: bytes | Image.Image) -> ImageSize:
    """Sides of the upright picture, from its header alone.

    Raises:
        InputError: the bytes are no image.
    """
    try:
        picture = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
        sideways = picture.getexif().get(_ORIENTATION) in _SIDEWAYS
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(error) from None
    return ImageSize(*reversed(picture.size)) if sideways else ImageSize(*picture.size)


def _unreadable(error: Exception) -> InputError:
    return InputError("image", found=f"cannot be decoded ({error})", fix="run fetch again")


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")
