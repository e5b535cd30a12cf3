"""What libjpeg lets pass: thousands of scans over one picture, and a picture that ends before its last row."""

from __future__ import annotations

import re
from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageChops

from nameplate.records import FetchStatus
from nameplate.stages.fetch.pixels.sniff import JPEG
from nameplate.stages.fetch.result import LinkFailed

MAX_SCANS = 100
"""Far above what encoders write: a progressive JPEG has about ten. A small file of empty scans decodes for hours."""

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# In coded data 0xFF is followed by 0 or by a restart mark; anything else is the next segment.
_SEGMENT_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_STANDALONE = {0x01, *range(0xD0, 0xD9)}

# Where data is missing libjpeg paints middle grey (128); colour conversion may move it by one.
_FILL = range(127, 130)
_MORE_DATA = b"\x55\xaa" * 32


class Scans(NamedTuple):
    """Scans of the first picture in a JPEG file, and where its end is marked (or else the file's)."""

    number: int
    end: int


def find_scans(data: bytes, *, at_most: int) -> Scans:
    """Count scans; this stops after `at_most`, or where the file makes no sense."""
    place, number = 2, 0
    while number < at_most and place + 4 <= len(data) and data[place] == 0xFF:
        mark = data[place + 1]
        if mark == _END_OF_IMAGE:
            break
        if mark == 0xFF or mark in _STANDALONE:
            place += 1 if mark == 0xFF else 2
            continue
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if mark == _START_OF_SCAN:
            number += 1
            found = _SEGMENT_AFTER_SCAN.search(data, place)
            place = found.start() if found else len(data)
    return Scans(number, min(place, len(data)))


def refuse_many_scans(data: bytes) -> None:
    """Refuse a JPEG with more scans than any encoder writes.

    Raises:
        LinkFailed: `decode_error`.
    """
    if find_scans(data, at_most=MAX_SCANS + 1).number > MAX_SCANS:
        raise LinkFailed(FetchStatus.DECODE_ERROR, f"JPEG with more than {MAX_SCANS} scans")


def refuse_early_end(data: bytes, image: Image.Image) -> None:
    """Refuse a JPEG whose coded data ends before the picture does, although its end is marked.

    Asked only of pictures whose last pixel has the colour of missing data: more data before the end mark changes the
    pixels of a picture that ended early, and no others. A progressive JPEG without its last scans is coarse, but whole.

    Args:
        data: the file.
        image: its pixels, perhaps made smaller.

    Raises:
        LinkFailed: `truncated`.
    """
    last = image.getpixel((image.width - 1, image.height - 1))
    if not all(value in _FILL for value in (last if isinstance(last, tuple) else (last,))):
        return
    end = find_scans(data, at_most=MAX_SCANS + 1).end
    if ImageChops.difference(_decoded(data), _decoded(data[:end] + _MORE_DATA + data[end:])).getbbox() is not None:
        raise LinkFailed(FetchStatus.TRUNCATED, f"JPEG, {len(data)} bytes: coded data ends before the last row")


def _decoded(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data), formats=[JPEG.pillow])
    image.load()
    return image
