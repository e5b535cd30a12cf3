"""Colours as everything downstream expects them: 8 bits a channel, sRGB, opaque."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

# Profiles of printers' colours are large: up to three megabytes seen. A larger one is treated as broken.
_MAX_PROFILE_BYTES = 4_000_000
# Widest difference of one channel, of 255, at which a profile is sRGB under another name. Measured: tables of 26 and of
# 1024 points 1, primaries of three digits 3; a plain gamma of 2.2 comes to 9.
_SAME = 3
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}


class Layers(NamedTuple):
    """Colour (L, RGB, CMYK or LAB) and, where something shows through, alpha (L)."""

    colour: Image.Image
    alpha: Image.Image | None


def eight_bit(image: Image.Image, bits: int) -> Image.Image:
    """The image with 8 bits a channel; Pillow's own conversion clips a grey picture of 16 bits to white.

    Not followed: a colour key of 16 bits. 32-bit numbers stay as they are.
    """
    image.info.pop("transparency", None)
    if image.mode in _SIXTEEN_BIT:
        return Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8))
    return image


def layers(image: Image.Image) -> Layers:
    """Colour and alpha apart; an alpha that hides nothing is none.

    Raises:
        ValueError: pixels of a mode that has no agreed white.
    """
    if image.mode in {"I", "F"} or image.mode in _SIXTEEN_BIT:
        raise ValueError(f"pixels of mode {image.mode}, which have no agreed white")
    grey = image.mode in {"1", "L", "LA", "La"}
    if image.has_transparency_data:
        both = image.convert("LA" if grey else "RGBA")
        alpha = both.getchannel("A")
        return Layers(both.convert("L" if grey else "RGB"), None if alpha.getextrema()[0] == 255 else alpha)
    if grey or image.mode in {"RGB", "CMYK", "LAB"}:
        return Layers(image.convert("L") if image.mode == "1" else image, None)
    return Layers(image.convert("RGB"), None)


def to_srgb(colour: Image.Image, profile: bytes | None) -> Image.Image | None:
    """The colours in sRGB, grey staying grey; none: they are that already.

    A profile that is broken, or is for other channels than the image has, counts as none, as in browsers. Without a
    profile, CMYK is mixed as ideal inks. Not followed: colour spaces that a file names without a profile (nclx, cICP,
    gAMA).
    """
    transform = _transform(profile, colour.mode) if profile and len(profile) <= _MAX_PROFILE_BYTES else None
    if transform is not None:
        converted = transform.apply(colour)
        return converted.convert("L") if colour.mode == "L" else converted
    return None if colour.mode in {"L", "RGB"} else colour.convert("RGB")


def over(colour: Image.Image, alpha: Image.Image, matte: str) -> Image.Image:
    """The colours laid over the matte (#rrggbb), where they let it through."""
    ground = Image.new("RGB", colour.size, matte)
    ground.paste(colour.convert("RGB"), mask=alpha)
    return ground


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile to sRGB; none when the profile cannot be used, or is sRGB already."""
    if mode == "LAB":
        return None
    try:
        # A profile for other channels than the image has is refused here, by littlecms.
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            inMode=mode,
            outMode="RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=_FLAGS,
        )
        return None if mode != "CMYK" and _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a probe of all greys, or of 17 levels a channel, comes out as it went in."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 17, 3)
    probe = Image.fromarray(np.arange(256, dtype=np.uint8)[None]) if mode == "L" else Image.fromarray(grid)
    before = np.asarray(probe.convert("RGB")).astype(np.int16)
    return bool(np.abs(np.asarray(transform.apply(probe)).astype(np.int16) - before).max() <= _SAME)
