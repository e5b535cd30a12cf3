"""How much of an image's detail reaches the model."""

from __future__ import annotations

import math

from nameplate.models.internvl.processing import InternVLProcessor
from nameplate.models.processing import Processor
from nameplate.models.tiling import ImageSize, choose_grid


def times_shrunk(processor: Processor, size: ImageSize) -> float | None:
    """How many times smaller an image's sides are made, on average; none: not known of other families than InternVL."""
    if not isinstance(processor, InternVLProcessor):
        return None
    rule = processor.contract.rule
    grid = choose_grid(size, rule)
    return math.sqrt(size.width * size.height / (grid.columns * grid.rows)) / rule.side


def tiles_allowed(processor: Processor) -> int | None:
    """Most tiles of an image; none: not a matter of this family."""
    return processor.contract.max_tiles if isinstance(processor, InternVLProcessor) else None
