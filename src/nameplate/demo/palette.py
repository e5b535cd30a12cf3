"""The closed vocabulary of the embedded shop: kinds, colours, backgrounds and places, with their pixels' numbers."""

from __future__ import annotations

from typing import Final, NamedTuple

Rgb = tuple[int, int, int]


class Place(NamedTuple):
    """Centre of the mark, as fractions of the picture's width and height."""

    x: float
    y: float


KINDS: Final = (
    "t-shirt",
    "dress",
    "jeans",
    "coat",
    "handbag",
    "backpack",
    "running shoe",
    "cap",
    "socks",
    "cup",
    "umbrella",
    "suitcase",
)

COLOURS: Final[dict[str, Rgb]] = {
    "black": (48, 48, 54),
    "white": (238, 238, 234),
    "grey": (140, 144, 150),
    "red": (208, 42, 46),
    "orange": (242, 128, 28),
    "yellow": (246, 208, 44),
    "green": (44, 142, 70),
    "blue": (36, 92, 196),
    "purple": (122, 62, 172),
    "pink": (240, 128, 176),
    "brown": (122, 78, 48),
}

BACKGROUNDS: Final = (
    "plain white",
    "plain grey",
    "sky blue",
    "sunset",
    "wooden",
    "striped",
    "checked",
    "dotted",
)

# Corners stay near the middle: marks are large, and a mark cut by the frame would not be named by a person either.
PLACES: Final[dict[str, Place]] = {
    "centre": Place(0.50, 0.50),
    "upper left": Place(0.35, 0.35),
    "upper right": Place(0.65, 0.35),
    "lower left": Place(0.35, 0.65),
    "lower right": Place(0.65, 0.65),
}
