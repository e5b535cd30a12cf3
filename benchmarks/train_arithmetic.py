"""How many operations a training step must do, and how many a second the machine does in plain matrix products."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch

from train_shop import PATCH, VOCABULARY, Size


class Operations(NamedTuple):
    """Of one training example, multiplications and additions counted apart."""

    vision: float
    projector: float
    language: float
    head: float

    @property
    def together(self) -> float:
        """All of it."""
        return sum(self)


def step_operations(
    size: Size, learns: Collection[str], *, tokens: float, answer_tokens: float, tiles: int = 1
) -> Operations:
    """What forward and backward of one example must compute; padding and elementwise work count nothing.

    Two operations for each weight and token forward, two for the gradient of inputs where something before learns, two
    for the gradient of weights where they learn. Of causal attention only the half that is seen.
    """
    patches, seen_per_tile = (size.side // PATCH) ** 2 + 1, size.tokens_per_tile
    width, depth = size.vision_width, size.vision_layers
    block = 4 * width**2 + 2 * width * 4 * width
    vision_products = 2 * patches * (depth * block + 3 * PATCH**2 * width)
    vision_attention = depth * 4 * patches**2 * width
    vision = tiles * (3 if "vision" in learns else 1) * (vision_products + vision_attention)
    wide, deep = size.language_width, size.language_layers
    projector = (3 if "projector" in learns else 1) * 2 * tiles * seen_per_tile * (4 * width * wide + wide * wide)
    inner = wide * 11 // 4
    keys = 64 * max(1, wide // 256)
    products = 2 * tokens * deep * (2 * wide**2 + 2 * wide * keys + 3 * wide * inner)
    attention = deep * 2 * tokens**2 * wide
    language = (3 if "language" in learns else 2) * products + 3 * attention
    head = (3 if "language" in learns else 2) * 2 * answer_tokens * wide * VOCABULARY
    return Operations(vision, projector, language, head)


def product_rate(threads: int, *, sides: Sequence[int] = (1024, 2048), seconds: float = 1.0) -> float:
    """Operations a second of square bfloat16 products, the best of several looks."""
    torch.set_num_threads(threads)
    best = 0.0
    for side in sides:
        left, right = (torch.randn(side, side, dtype=torch.bfloat16) for _ in range(2))
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            started = time.perf_counter()
            left @ right
            best = max(best, 2 * side**3 / (time.perf_counter() - started))
    return best
