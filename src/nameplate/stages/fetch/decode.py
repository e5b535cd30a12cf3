"""Decoding images from strangers: sizes are judged before pixels are made, and nothing half-read passes."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageFile

from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.limits import judge_size
from nameplate.stages.fetch.result import LinkFailed
from nameplate.stages.fetch.sniff import PNG, SNIFF_BYTES, ImageKind, describe, is_cut_off, sniff

# What Pillow's decoders raise on bytes that are not what they seem; one stranger's image must not end the run.
_DECODER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    struct.error,
    SyntaxError,
    TypeError,
    ValueError,
)
_BOMB_ERRORS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_ORIENTATION = 0x0112
_SIDEWAYS = {5, 6, 7, 8}

# Largest difference of one channel, of 255, that is still one colour: lossy WebP spreads one so far (measured).
_FLAT = 4


class Decoded(NamedTuple):
    """A sound image: its format, and its size after EXIF orientation."""

    kind: ImageKind
    width: int
    height: int


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Make Pillow refuse bombs and half-read files in this block, whatever other code in the process has set.

    Both settings belong to the whole process: enter from the main thread, before the decoding threads start.
    """
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def decode(data: bytes, section: FetchSection) -> Decoded:
    """Decode an image whole and judge it.

    Only the first frame of an animation is looked at. Colours are not converted: the store keeps the original bytes.

    Raises:
        LinkFailed: `not_an_image`, `decode_error`, `truncated`, `too_many_pixels`, `too_small` or `blank`.
    """
    kind = kind_of(data)
    try:
        if kind is PNG:
            _check_sums(data)
        # Only the decoder that the bytes ask for: no other parser sees them.
        with Image.open(BytesIO(data), formats=[kind.pillow]) as image:
            width, height = _oriented_size(image)
            judge_size(width, height, section)
            image.load()
            blank = _is_blank(image)
    except _BOMB_ERRORS as error:
        raise LinkFailed(FetchStatus.TOO_MANY_PIXELS, str(error)) from None
    except _DECODER_ERRORS as error:
        status = FetchStatus.TRUNCATED if is_cut_off(data, kind) else FetchStatus.DECODE_ERROR
        raise LinkFailed(status, f"{kind.pillow}, {len(data)} bytes: {error}") from None
    if blank:
        raise LinkFailed(FetchStatus.BLANK, f"{width} x {height} pixels of one colour")
    return Decoded(kind, width, height)


def _check_sums(data: bytes) -> None:
    """Check the sum of every PNG chunk: a damaged stream can decode without complaint, to black."""
    with Image.open(BytesIO(data), formats=[PNG.pillow]) as image:
        image.verify()


def kind_of(data: bytes) -> ImageKind:
    """The format of a body, or of its first 512 bytes.

    Raises:
        LinkFailed: `not_an_image`.
    """
    head = data[:SNIFF_BYTES]
    kind = sniff(head)
    if kind is None:
        raise LinkFailed(FetchStatus.NOT_AN_IMAGE, describe(head))
    return kind


def _oriented_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except _DECODER_ERRORS:
        # Broken EXIF beside sound pixels: viewers show the image as it lies, and so do we.
        return None


def _is_blank(image: Image.Image) -> bool:
    """Whether all pixels have one colour, or none can be seen."""
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")
    spans = _spans(image)
    if "A" in image.getbands() and spans[-1][1] == 0:
        return True
    return all(high - low <= _FLAT for low, high in spans)


def _spans(image: Image.Image) -> Sequence[tuple[float, float]]:
    """Lowest and highest value of each band; Pillow gives a bare pair when there is only one."""
    extrema = image.getextrema()
    pairs = [each for each in extrema if isinstance(each, tuple)]
    numbers = [each for each in extrema if not isinstance(each, tuple)]
    return pairs or [(numbers[0], numbers[1])]
