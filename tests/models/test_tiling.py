"""Cutting images into tiles, against a tiler of our own in another form."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from PIL import Image

from nameplate.models.tiling import Grid, ImageSize, TileRule, choose_grid, cut, num_tiles

NUM_SIZES = 10_000


def independent_grid(width: int, height: int, *, side: int, fewest: int, most: int) -> tuple[int, int]:
    """Of the grids at the least distance, the last that the image is large enough for, or the first."""
    pairs = {(i, j) for i, j in itertools.product(range(1, most + 1), repeat=2) if fewest <= i * j <= most}
    by_distance: dict[float, list[tuple[int, int]]] = {}
    for i, j in pairs:
        by_distance.setdefault(abs(width / height - i / j), []).append((i, j))
    nearest = sorted(by_distance[min(by_distance)], key=lambda pair: pair[0] * pair[1])
    enough = [(i, j) for i, j in nearest[1:] if 2 * width * height > side * side * i * j]
    return enough[-1] if enough else nearest[0]


def independent_tiles(picture: Image.Image, *, side: int, fewest: int, most: int, thumbnail: bool) -> list[bytes]:
    columns, rows = independent_grid(*picture.size, side=side, fewest=fewest, most=most)
    whole = picture.resize((columns * side, rows * side), Image.Resampling.BICUBIC)
    tiles = []
    for top, left in itertools.product(range(0, rows * side, side), range(0, columns * side, side)):
        tiles.append(whole.crop((left, top, left + side, top + side)).tobytes())
    if thumbnail and columns * rows != 1:
        tiles.append(picture.resize((side, side), Image.Resampling.BICUBIC).tobytes())
    return tiles


def random_size(rng: random.Random, largest: int) -> ImageSize:
    """Every other one has the shape of a small grid exactly, where ties decide."""
    if rng.random() < 0.5:
        return ImageSize(rng.randint(1, largest), rng.randint(1, largest))
    unit = rng.randint(1, largest // 6)
    return ImageSize(unit * rng.randint(1, 6), unit * rng.randint(1, 6))


def test_grid_equals_an_independent_one_on_many_sizes() -> None:
    rng = random.Random(0)
    for _ in range(NUM_SIZES):
        size = random_size(rng, 4000)
        fewest, most = rng.choice([(1, 1), (1, 4), (1, 6), (1, 12), (2, 6), (3, 12), (1, 24)])
        found = choose_grid(size, TileRule(448, fewest, most))
        assert found == independent_grid(*size, side=448, fewest=fewest, most=most), (size, fewest, most)


def test_tiles_equal_independent_ones_on_many_sizes() -> None:
    rng = random.Random(1)
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    for _ in range(NUM_SIZES):
        width, height = random_size(rng, 48)
        picture = Image.fromarray(noise[:height, :width])
        fewest, most, thumbnail = (*rng.choice([(1, 1), (1, 4), (1, 6), (2, 3)]), rng.random() < 0.5)
        rule = TileRule(6, fewest, most, thumbnail)
        found = cut(picture, rule)
        wanted = independent_tiles(picture, side=6, fewest=fewest, most=most, thumbnail=thumbnail)
        assert [tile.tobytes() for tile in found] == wanted, (picture.size, rule)
        assert num_tiles(ImageSize(*picture.size), rule) == len(wanted)


@pytest.mark.parametrize(
    ("size", "rule", "grid", "count"),
    [
        (ImageSize(800, 600), TileRule(448, 1, 12), Grid(4, 3), 13),
        (ImageSize(800, 600), TileRule(448, 1, 12, thumbnail=False), Grid(4, 3), 12),
        (ImageSize(800, 600), TileRule(448, 1, 1), Grid(1, 1), 1),
        (ImageSize(300, 300), TileRule(448, 1, 12), Grid(1, 1), 1),
        (ImageSize(700, 700), TileRule(448, 1, 12), Grid(2, 2), 5),
        (ImageSize(1, 5000), TileRule(448, 1, 6), Grid(1, 6), 7),
    ],
)
def test_shape_decides_and_only_a_large_image_gets_the_larger_grid(
    size: ImageSize, rule: TileRule, grid: Grid, count: int
) -> None:
    assert choose_grid(size, rule) == grid
    assert num_tiles(size, rule) == count
