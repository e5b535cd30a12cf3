"""From a stranger's bytes to a plain image: upright, 8-bit, sRGB, opaque, one frame; jpg, png or webp.

An image that is all that already is kept byte for byte, with whatever else its file holds: EXIF (perhaps a place),
thumbnails, further pictures behind the first. An image that is encoded anew takes nothing but its pixels along.
Already plain are grey, palette and 1-bit pixels, an alpha channel that hides nothing, and a phone's JPEG with a second
picture behind the first: every reader makes the same pixels of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from io import BytesIO
from typing import BinaryIO, NamedTuple, cast

from PIL import Image

from nameplate.recipe import ImageSection
from nameplate.records import FetchStatus, ImageChange
from nameplate.stages.fetch.pixels.colour import eight_bit, layers, over, to_srgb
from nameplate.stages.fetch.pixels.decode import Frame, decoder_errors, kind_of, read_frame
from nameplate.stages.fetch.pixels.phash import perceptual_hash
from nameplate.stages.fetch.pixels.sniff import AVIF, HEIC, JPEG, PNG, TIFF, WEBP, ImageKind
from nameplate.stages.fetch.result import LinkFailed

_KEPT_KINDS = {JPEG, PNG, WEBP}
_JPEG_QUALITY = 95

# Largest difference of one channel, of 255, that is still one colour: lossy WebP spreads one so far (measured).
_FLAT = 4
_FEW = (4, 4)


class PreparedImage(NamedTuple):
    """What is kept of an image, and what it was.

    Both sizes are upright. `changes` are `records.ImageChange` codes in their order; without any, `data` is what came.
    `phash` is that of the pixels as they were before they were encoded anew, if they were: 16 hex digits. The file's
    own pixels may differ from it in a few bits; decoding them again would cost a fifth of all this.
    """

    data: bytes
    ext: str
    width: int
    height: int
    changes: tuple[str, ...]
    source_width: int
    source_height: int
    phash: str


class _Plain(NamedTuple):
    """Pixels of mode L or RGB, and what was done to get them."""

    image: Image.Image
    changes: list[ImageChange]


def prepare_image(data: bytes, section: ImageSection) -> PreparedImage:
    """Judge an image and make it plain. Call it within `strict_pillow`.

    Raises:
        LinkFailed: `not_an_image`, `decode_error`, `truncated`, `too_many_pixels`, `too_small`, `bad_aspect` or
            `blank`.
    """
    kind = kind_of(data)
    frame = read_frame(data, kind, section)
    with decoder_errors(data, kind):
        image, changes = _made_plain(frame, section)
    if _is_blank(image):
        raise LinkFailed(FetchStatus.BLANK, f"{frame.width} x {frame.height} pixels of one colour")
    if changes or kind not in _KEPT_KINDS:
        changes.append(ImageChange.REENCODED)
        kind = JPEG if _is_lossy(data, kind, frame) else PNG
        data = _encoded(image, kind)
    return PreparedImage(
        data=data,
        ext=kind.ext,
        width=image.width,
        height=image.height,
        changes=tuple(change.value for change in changes),
        source_width=frame.width,
        source_height=frame.height,
        phash=perceptual_hash(image),
    )


def _made_plain(frame: Frame, section: ImageSection) -> _Plain:
    image, changes = frame.image, []
    profile = image.info.get("icc_profile")
    if frame.moves:
        changes.append(ImageChange.FIRST_FRAME)
    if frame.turned:
        changes.append(ImageChange.UPRIGHT)
    if frame.bits > 8:
        image = eight_bit(image, frame.bits)
        changes.append(ImageChange.EIGHT_BIT)
    colour, alpha = layers(image)
    converted = to_srgb(colour, profile)
    if converted is not None:
        changes.append(ImageChange.SRGB)
        colour = converted
    if alpha is not None:
        colour = over(colour, alpha, section.matte)
        changes.append(ImageChange.MATTED)
    size = _wanted_size(frame, section.longest_side)
    if size is not None:
        # Pillow's Lanczos costs more than decoding and encoding together; this is 47 dB from it at half the price.
        colour = colour.resize(size, Image.Resampling.HAMMING, reducing_gap=3.0)
        changes.append(ImageChange.DOWNSCALED)
    return _Plain(colour, changes)


def _wanted_size(frame: Frame, longest_side: int | None) -> tuple[int, int] | None:
    """The smaller size that the recipe asks for; none: the image has no longer side than that."""
    longest = max(frame.width, frame.height)
    if longest_side is None or longest <= longest_side:
        return None
    width, height = (max(1, round(side * longest_side / longest)) for side in (frame.width, frame.height))
    return width, height


def _is_blank(image: Image.Image) -> bool:
    """Whether all pixels have one colour; a few of them settle it for nearly all images."""
    return _is_flat(image.resize(_FEW, Image.Resampling.NEAREST)) and _is_flat(image)


def _is_flat(image: Image.Image) -> bool:
    extrema = image.getextrema()
    # Pillow gives a bare pair for grey, and a pair for each band of a colour image.
    bands = [extrema] if image.mode == "L" else extrema
    return all(high - low <= _FLAT for low, high in cast("Iterable[tuple[int, int]]", bands))


def _is_lossy(data: bytes, kind: ImageKind, frame: Frame) -> bool:
    if kind is WEBP:
        return b"VP8L" not in data
    if kind is TIFF:
        return frame.image.info.get("compression") == "jpeg"
    return kind in {JPEG, AVIF, HEIC}


def _encoded(image: Image.Image, kind: ImageKind) -> bytes:
    """The image as a file without metadata."""
    image.info = {}
    with _open_memory() as stream:
        if kind is PNG:
            image.save(stream, PNG.pillow)
        else:
            image.save(stream, JPEG.pillow, quality=_JPEG_QUALITY, subsampling="4:4:4")
        stream.seek(0)
        return stream.read()


def _open_memory() -> BinaryIO:
    """A file in memory. Pillow lets other threads run while it encodes into a real file, but not into a BytesIO."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("nameplate"), "w+b")
    return BytesIO()
