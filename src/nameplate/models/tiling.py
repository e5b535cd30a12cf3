"""Which tiles an image is cut into: InternVL's rule, in whole numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Tiles = NDArray[np.uint8]
"""(num_tiles, S, S, 3): row by row, and the whole image small as the last one where there is a thumbnail."""


class ImageSize(NamedTuple):
    """Sides of an upright image, in pixels."""

    width: int
    height: int


class TileRule(NamedTuple):
    """How an image is divided."""

    side: int
    """Of a tile, in pixels."""
    min_tiles: int = 1
    max_tiles: int = 1
    """Most tiles; a thumbnail comes on top."""
    thumbnail: bool = True
    """Whether an image of several tiles is also shown whole."""


class Grid(NamedTuple):
    """Columns and rows of tiles."""

    columns: int
    rows: int


@lru_cache(maxsize=4096)
def choose_grid(size: ImageSize, rule: TileRule) -> Grid:
    """The grid whose shape is nearest to the image's; of equally near ones a larger one only for a large image.

    As `dynamic_preprocess` of OpenGVLab/InternVL: nearness is |width / height - columns / rows| in floating point, and
    among equals the later one in order of tiles wins if the image has more than half its pixels.
    """
    grids = [
        Grid(columns, rows)
        for columns in range(1, rule.max_tiles + 1)
        for rows in range(1, rule.max_tiles // columns + 1)
        if columns * rows >= rule.min_tiles
    ]
    shape, area = size.width / size.height, size.width * size.height
    best, nearest = Grid(1, 1), float("inf")
    for grid in sorted(grids, key=lambda each: each.columns * each.rows):
        distance = abs(shape - grid.columns / grid.rows)
        large = area > 0.5 * rule.side * rule.side * grid.columns * grid.rows
        if distance < nearest or (distance == nearest and large):
            best, nearest = grid, distance
    return best


def num_tiles(size: ImageSize, rule: TileRule) -> int:
    """Tiles of an image, thumbnail included."""
    grid = choose_grid(size, rule)
    cells = grid.columns * grid.rows
    return cells + int(rule.thumbnail and cells > 1)


def cut(picture: Image.Image, rule: TileRule) -> Tiles:
    """Resize an RGB image (bicubic) to its grid and cut it up; see `Tiles`."""
    side = rule.side
    columns, rows = choose_grid(ImageSize(*picture.size), rule)
    whole = np.asarray(picture.resize((side * columns, side * rows), Image.Resampling.BICUBIC), dtype=np.uint8)
    tiles = whole.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    if rule.thumbnail and len(tiles) > 1:
        small = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)
        tiles = np.concatenate([tiles, small[None]])
    # A copy of its own: what Pillow hands out may not be written to.
    return np.array(tiles)
