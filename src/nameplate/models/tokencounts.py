"""How many image tokens a processor makes: training writes it down, and scoring holds itself to it."""

from __future__ import annotations

from typing import Final

from nameplate.models.processing import Processor
from nameplate.models.tiling import ImageSize

IMAGE_TOKENS: Final = "image_tokens"
"""Its place in a checkpoint's notes."""
SIZES: Final = (ImageSize(448, 448), ImageSize(1600, 800), ImageSize(600, 1800))
"""Square, wide and tall: tiling at another limit shows in at least one of them."""


def image_tokens(processor: Processor) -> dict[str, int]:
    """Image tokens by the image's size, such as `448x448`."""
    return {f"{size.width}x{size.height}": processor.num_image_tokens(size) for size in SIZES}
