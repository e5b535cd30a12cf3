"""The perceptual hash of an image: 64 bits of its coarse shape, blind to colour, for the split's groups."""

from __future__ import annotations

import imagehash
from PIL import Image


def perceptual_hash(image: Image.Image) -> str:
    """The image's pHash as 16 hex digits, equal for equal pixels (imagehash.phash: DCT of a 32 x 32 luminance)."""
    return str(imagehash.phash(image))
