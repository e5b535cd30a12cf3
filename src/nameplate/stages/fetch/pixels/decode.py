"""Decoding images from strangers: sizes are judged before pixels are made, and nothing half-read passes."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

from PIL import Image, ImageFile

from nameplate.recipe import ImageSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.pixels.jpeg import refuse_early_end, refuse_many_scans
from nameplate.stages.fetch.pixels.limits import judge_size
from nameplate.stages.fetch.pixels.sniff import (
    HEIC,
    JPEG,
    PNG,
    SNIFF_BYTES,
    TIFF,
    ImageKind,
    describe,
    is_cut_off,
    sniff,
)
from nameplate.stages.fetch.result import LinkFailed

# What Pillow's decoders raise on bytes that are not what they seem; one stranger's image must not end the run.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    struct.error,
    SyntaxError,
    TypeError,
    ValueError,
    zlib.error,
)
_BOMB_ERRORS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_SILENCE = logging.NullHandler()

_ORIENTATION = 0x0112
_TIFF_BITS = 0x0102
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}

# The decoder makes a JPEG at least so many times larger than it is wanted, so that the filter still has work to do.
_DRAFT_GAP = 2


class Frame(NamedTuple):
    """The first frame of a sound image, upright, and what its file said of it.

    `image` may be smaller than `width` x `height` when a smaller one is wanted. `bits` is the depth of a channel in
    the file as far as it is known; `moves` says that there are more frames.
    """

    image: Image.Image
    width: int
    height: int
    bits: int
    moves: bool
    turned: bool


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Make Pillow refuse bombs and half-read files in this block, whatever other code in the process has set.

    The settings belong to the whole process: enter from the main thread, before the decoding threads start.
    """
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    # Without a handler of its own, what Pillow logs of odd files would land on the terminal. libtiff's lines still do.
    logging.getLogger("PIL").addHandler(_SILENCE)
    with warnings.catch_warnings():
        # Remarks on odd metadata would fill the terminal, one for each odd image.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


@contextmanager
def decoder_errors(data: bytes, kind: ImageKind) -> Iterator[None]:
    """Turn what decoders raise on bad bytes into `truncated`, `decode_error` or `too_many_pixels`.

    Raises:
        LinkFailed: instead of each of these errors.
    """
    try:
        yield
    except _BOMB_ERRORS as error:
        raise LinkFailed(FetchStatus.TOO_MANY_PIXELS, str(error)) from None
    except _DECODER_ERRORS as error:
        status = FetchStatus.TRUNCATED if is_cut_off(data, kind) else FetchStatus.DECODE_ERROR
        raise LinkFailed(status, f"{kind.pillow}, {len(data)} bytes: {error}") from None


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


@cache
def can_read_heic() -> bool:
    """Whether HEIC pictures can be read here; the first question teaches Pillow to."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    return True


def read_frame(data: bytes, kind: ImageKind, section: ImageSection) -> Frame:
    """Decode the first frame, when the size in its header is within the limits.

    Raises:
        LinkFailed: `decode_error`, `truncated`, `too_many_pixels`, `too_small` or `bad_aspect`.
    """
    if kind is HEIC and not can_read_heic():
        raise LinkFailed(FetchStatus.DECODE_ERROR, "a HEIC picture; to read it, pip install 'nameplate[heic]'")
    with decoder_errors(data, kind):
        if kind is JPEG:
            refuse_many_scans(data)
        if kind is PNG:
            _check_sums(data)
        # Only the decoder that the bytes ask for: no other parser sees them.
        with Image.open(BytesIO(data), formats=[kind.pillow]) as image:
            return _loaded(image, data, kind, section)


def _loaded(image: Image.Image, data: bytes, kind: ImageKind, section: ImageSection) -> Frame:
    orientation = _orientation(image)
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    width, height = image.size
    # Pillow gives a TIFF's size upright, and turns the pixels itself.
    if orientation in _SIDEWAYS and kind is not TIFF:
        width, height = height, width
    judge_size(width, height, section)
    moves = kind is not JPEG and bool(getattr(image, "is_animated", False))
    bits = _bits(image, data, kind)
    if kind is JPEG and section.longest_side is not None:
        _draft(image, section.longest_side)
    image.load()
    if kind is JPEG:
        refuse_early_end(data, image)
    if kind is HEIC:
        # libheif's header may promise another size than its pixels have.
        width, height = image.size
        judge_size(width, height, section)
    upright = image if turn is None or kind is TIFF else image.transpose(turn)
    return Frame(upright, width, height, bits, moves, turn is not None)


def _check_sums(data: bytes) -> None:
    """Check the sum of every PNG chunk: a damaged stream can decode without complaint, to black."""
    with Image.open(BytesIO(data), formats=[PNG.pillow]) as image:
        image.verify()


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except _DECODER_ERRORS:
        # Broken EXIF beside sound pixels: viewers show the image as it lies, and so do we.
        return None


def _bits(image: Image.Image, data: bytes, kind: ImageKind) -> int:
    """Bits of a channel in the file; Pillow does not say it of AVIF, whose pixels it gives with 8."""
    if kind is PNG:
        return data[24] if data[12:16] == b"IHDR" else 8
    if kind is HEIC:
        return int(image.info.get("bit_depth", 8))
    tags: Any = getattr(image, "tag_v2", None) or {}
    return max(tags.get(_TIFF_BITS, (8,))) if kind is TIFF else 8


def _draft(image: Image.Image, longest_side: int) -> None:
    scale = _DRAFT_GAP * longest_side / max(image.size)
    if scale < 1:
        image.draft(image.mode, (round(image.width * scale), round(image.height * scale)))
