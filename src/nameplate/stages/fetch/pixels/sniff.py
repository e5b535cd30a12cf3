"""What a body is, by its first bytes; what a server calls it does not count."""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

SNIFF_BYTES = 512

_BMP_HEADER_SIZES = {12, 40, 52, 56, 64, 108, 124}


class ImageKind(NamedTuple):
    """An image format: extension in the store, and Pillow's name for it."""

    ext: str
    pillow: str


JPEG = ImageKind("jpg", "JPEG")
PNG = ImageKind("png", "PNG")
GIF = ImageKind("gif", "GIF")
WEBP = ImageKind("webp", "WEBP")
BMP = ImageKind("bmp", "BMP")
TIFF = ImageKind("tif", "TIFF")
AVIF = ImageKind("avif", "AVIF")
HEIC = ImageKind("heic", "HEIF")

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_MAGIC = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
)


def sniff(head: bytes) -> ImageKind | None:
    """The format of a body that starts with `head` (512 bytes are enough); none: not an image that we read."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:2] == b"BM" and head[6:10] == bytes(4) and _little(head, 14) in _BMP_HEADER_SIZES:
        return BMP
    brands = _brands(head)
    if brands & _AVIF_BRANDS:
        return AVIF
    return HEIC if brands & _HEIC_BRANDS else None


def describe(head: bytes) -> str:
    """What a body that is no image looks like, for a person."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty body"
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")):
        return "an HTML page"
    if text.startswith(b"<"):
        return "a markup document"
    if text.startswith((b"{", b"[")):
        return "a JSON document"
    return "bytes of no known image format"


def is_cut_off(data: bytes, kind: ImageKind) -> bool:
    """Whether the end of a file that did not decode is missing, by its format's own mark or length.

    TIFF has neither, so a shortened TIFF counts as a decode error.
    """
    if kind is JPEG:
        return b"\xff\xd9" not in data[-64:]
    if kind is PNG:
        return b"IEND" not in data[-64:]
    if kind is GIF:
        return not data.rstrip(b"\0").endswith(b";")
    if kind is WEBP:
        return _little(data, 4) + 8 > len(data)
    if kind is BMP:
        return _little(data, 2) > len(data)
    return kind in {AVIF, HEIC} and _boxes_end(data) > len(data)


def _boxes_end(data: bytes) -> int:
    """Where the last top-level box of an ISO media file says it ends."""
    place = 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        # A size of 0 means "to the end of the file"; 2 to 7 cannot be.
        if size < 8:
            return len(data)
        place += size
    return place


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO media file."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = (head[place : place + 4] for place in range(16, end, 4))
    return {head[8:12], *takewhile(lambda brand: len(brand) == 4, compatible)}


def _little(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")
