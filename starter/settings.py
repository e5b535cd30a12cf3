"""Every number of the starter model's recipe, in one place."""

from __future__ import annotations

from typing import Final, NamedTuple

# The eye: InternViT shape, 64 patches -> 16 image tokens after pixel shuffle.
IMAGE_SIDE: Final = 96
PATCH: Final = 12
GRID: Final = IMAGE_SIDE // PATCH
NUM_IMAGE_TOKENS: Final = (GRID // 2) ** 2
VISION_WIDTH: Final = 256
VISION_LAYERS: Final = 6
VISION_HEADS: Final = 4
VISION_MLP: Final = 512

# The language model: Qwen2 shape.
TEXT_WIDTH: Final = 192
TEXT_LAYERS: Final = 4
TEXT_HEADS: Final = 4
TEXT_KEY_HEADS: Final = 2
TEXT_MLP: Final = 576
VOCABULARY: Final = 2048
MAX_POSITIONS: Final = 256

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)

# Training the eye on composed pictures of other brands' logos.
MASK_SIDE: Final = 64
CANONICAL_SIDE: Final = 24
NUM_BASES: Final = 5000
EYE_BATCH: Final = 128
EYE_STEPS: Final = 1500
EYE_LR: Final = 1.5e-3
EYE_WARMUP: Final = 150
EYE_EASY_SHARE: Final = 0.5
"""Share of the steps over which marks go from upright, central and plated to the shop's real distribution."""
WEIGHT_DECAY: Final = 0.05

# A logo this alike (cosine of centred 24x24 bitmaps) to a shop logo is left out of training; to another, merged.
TWIN_COSINE: Final = 0.80
DUPLICATE_COSINE: Final = 0.93

# Training projector and language model on cached features of the frozen eye.
NUM_NAMED_LOGOS: Final = 300
"""Other brands that the language model learns to name from pictures."""
MAX_NAME_LETTERS: Final = 14
UNSUITABLE_NAMES: Final = ("OnlyFans",)
"""Brands that a shop's page should not show as a wrong answer: seen by the eye, never named."""
NUM_FEATURES: Final = 9_000
"""Pictures whose patch tokens are kept (32 KB each)."""
LANGUAGE_BATCH: Final = 128
LANGUAGE_WARMUP: Final = 40
TAG_SHOP_CHANCE: Final = 0.5
"""Share of text tags that carry a shop brand's name; the rest carry other names."""


class Leg(NamedTuple):
    """One leg of language training: its steps, peak learning rate, and how often each task comes per turn."""

    steps: int
    lr: float
    tasks: dict[str, int]


LANGUAGE_LEGS: Final = (
    # Brands are learned first; background and place, late in a sentence, need a second leg that dwells on descriptions.
    Leg(720, 2e-3, {"name": 4, "detail": 3, "short": 2, "tag": 2, "tag_detail": 1}),
    Leg(600, 1.5e-3, {"name": 1, "detail": 4, "short": 4, "tag": 2, "tag_detail": 1}),
    Leg(160, 1e-3, {"name": 4, "detail": 2, "short": 2, "tag": 2, "tag_detail": 1}),
)
