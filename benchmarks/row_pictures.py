"""JPEGs that carry a row number in their pixels, made by the thousand at the price of a copy.

Each picture has restart markers after every row of blocks, so its top four rows of blocks can be exchanged without
decoding the rest: the number, 20 bits, lies there as black and white cells, and again inverted as a check. It survives
being made smaller and encoded again, and says after the fact whether an image was paired with the right row.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 600, 800
QUALITY = 85
MAX_ROWS = 1 << 20

_BITS = 10
_BLOCK_ROW = 16  # pixels: chroma is stored at half size
_CELL = WIDTH // _BITS
_BANDS = 4
_NOISE = 5.0  # gives about 80 KB at QUALITY
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


class PictureBook:
    """A few rendered pictures, from which any number of distinct ones is made.

    Args:
        num_pictures: how many are rendered; row r shows picture r modulo this.
        seed: another seed, other pictures.
    """

    def __init__(self, num_pictures: int, *, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        noise = random.normal(0.0, _NOISE, (HEIGHT, WIDTH, 1)).astype(np.float32)
        self._pictures = [_split(_encoded(_rendered(random, noise))) for _ in range(num_pictures)]
        self._bands = [_split(_encoded(_band(value)))[1][0] for value in range(1 << _BITS)]

    def jpeg(self, row: int) -> bytes:
        """The picture of row `row`: 600 x 800, about 80 KB, no two rows alike."""
        assert 0 <= row < MAX_ROWS
        header, block_rows = self._pictures[row % len(self._pictures)]
        code = _code(row)
        parts = [header]
        for place, data in enumerate([*(self._bands[value] for value in code), *block_rows[_BANDS:]]):
            parts += [data, bytes((0xFF, 0xD0 + place % 8))]
        parts[-1] = b"\xff\xd9"
        return b"".join(parts)


@lru_cache(maxsize=2)
def book(num_pictures: int) -> PictureBook:
    """A shared book: rendering takes seconds."""
    return PictureBook(num_pictures)


def row_of(image: Image.Image) -> int | None:
    """The row number in an image of any size; none: there is no sound number in it."""
    pixels = np.asarray(image.convert("L"), dtype=np.float32)
    height, width = pixels.shape
    values = []
    for band in range(_BANDS):
        middle = (band + 0.5) * _BLOCK_ROW * height / HEIGHT
        rows = pixels[max(0, round(middle) - 2) : round(middle) + 2]
        value = 0
        for cell in range(_BITS):
            centre = (cell + 0.5) * width / _BITS
            level = rows[:, round(centre - width / 60) : round(centre + width / 60)].mean()
            if 96 < level < 160:
                return None
            value = value << 1 | int(level >= 160)
        values.append(value)
    row = values[0] << _BITS | values[1]
    return row if tuple(values) == _code(row) else None


def _code(row: int) -> tuple[int, int, int, int]:
    mask = (1 << _BITS) - 1
    high, low = row >> _BITS, row & mask
    return high, low, high ^ mask, low ^ mask


def _rendered(random: np.random.Generator, noise: np.ndarray) -> Image.Image:
    """A smooth field of colours with grain, as much to decode as a photograph of this size in bytes."""
    colours = Image.fromarray(random.integers(30, 226, (8, 6, 3), dtype=np.uint8))
    field = np.asarray(colours.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = np.roll(noise, (int(random.integers(HEIGHT)), int(random.integers(WIDTH))), axis=(0, 1))
    return Image.fromarray(np.clip(field + grain, 0, 255).astype(np.uint8))


def _band(value: int) -> Image.Image:
    bits = [value >> (_BITS - 1 - cell) & 1 for cell in range(_BITS)]
    line = np.repeat(np.array(bits, dtype=np.uint8) * 255, _CELL)
    return Image.fromarray(np.broadcast_to(line[None, :, None], (_BLOCK_ROW, WIDTH, 3)).copy())


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", restart_marker_rows=1)
    return buffer.getvalue()


def _split(jpeg: bytes) -> tuple[bytes, list[bytes]]:
    """Header up to the start of the scan's data, and the data of each row of blocks."""
    scan = jpeg.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
    return jpeg[:start], _RESTART.split(jpeg[start:-2])
