"""How an image is sent: the kept bytes without their metadata, or smaller; the same image and policy, the same bytes.

Kept images are jpg, png or webp, upright, 8-bit sRGB without transparency. What their files hold besides pixels (EXIF,
perhaps with a place; thumbnails; comments; a second picture behind the first) is for nobody, so it is cut out without
touching the pixels' own data. Colour profiles stay.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import Final, NamedTuple

from PIL import Image

POLICY_VERSION: Final = 1
"""Part of every request key: raise it when the rules below send other bytes."""

_MEDIA_TYPES: Final = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_PILLOW: Final = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
_QUALITY: Final = 92

_PNG_SIGNATURE: Final = 8
_PNG_KEPT = {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"}
_WEBP_DROPPED = {b"EXIF", b"XMP "}
_WEBP_METADATA_FLAGS: Final = 0x08 | 0x04
_SCAN, _END, _APP0, _APP2, _APP14, _APP15, _COMMENT = 0xDA, 0xD9, 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
# In coded data 0xFF is followed by 0 or by a restart mark; anything else is the next segment.
_SEGMENT_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Sending(NamedTuple):
    """How one image is sent. `size` is the smaller size (width, height); none: as large as it is kept."""

    ext: str
    size: tuple[int, int] | None

    @property
    def media_type(self) -> str:
        """As it stands in the request."""
        return _MEDIA_TYPES["jpg" if self.size is not None and self.ext == "webp" else self.ext]

    def prepare(self, data: bytes) -> bytes:
        """The bytes to send, from those that are kept."""
        return _smaller(data, self) if self.size is not None else without_metadata(data, self.ext)


def policy(longest_side: int | None) -> str:
    """The recipe's policy, for the request key."""
    return f"longest_side={longest_side}/{POLICY_VERSION}"


def how_to_send(*, ext: str, width: int, height: int, longest_side: int | None) -> Sending:
    """What a policy means for one kept image."""
    longest = max(width, height)
    if longest_side is None or longest <= longest_side:
        return Sending(ext, None)
    small = [max(1, round(side * longest_side / longest)) for side in (width, height)]
    return Sending(ext, (small[0], small[1]))


def without_metadata(data: bytes, ext: str) -> bytes:
    """The same pixels from the same coded data, and nothing that says where, when or by whom they were made."""
    return {"jpg": _bare_jpeg, "png": _bare_png, "webp": _bare_webp}[ext](data)


def _smaller(data: bytes, sending: Sending) -> bytes:
    assert sending.size is not None
    with Image.open(BytesIO(data), formats=[_PILLOW[sending.ext]]) as image:
        image.draft("RGB", (2 * sending.size[0], 2 * sending.size[1]))
        plain = image if image.mode in {"L", "RGB"} else image.convert("RGB")
        small = plain.resize(sending.size, Image.Resampling.HAMMING, reducing_gap=3.0)
    small.info = {}
    stream = BytesIO()
    if sending.media_type == "image/png":
        small.save(stream, "PNG")
    else:
        small.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _bare_jpeg(data: bytes) -> bytes:
    """Segments up to the end of the first picture, without APP1 to APP15 and comments that no decoder needs."""
    pieces, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        mark = data[place + 1]
        if mark == _END:
            break
        if mark == 0xFF or mark == 0x01 or 0xD0 <= mark <= 0xD8:
            place += 1 if mark == 0xFF else 2
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if mark == _SCAN:
            found = _SEGMENT_AFTER_SCAN.search(data, end)
            end = found.start() if found else len(data)
        if _is_needed(mark, data[place + 4 : place + 16]):
            pieces.append(data[place:end])
        place = end
    return b"".join([*pieces, b"\xff\xd9"])


def _is_needed(mark: int, start: bytes) -> bool:
    if not (_APP0 <= mark <= _APP15 or mark == _COMMENT):
        return True
    return {_APP0: b"JFIF\0", _APP2: b"ICC_PROFILE\0", _APP14: b"Adobe"}.get(mark, b"\xff\xff") in start


def _bare_png(data: bytes) -> bytes:
    """Chunks that make the pixels and their colours, up to the end of the picture."""
    pieces, place = [data[:_PNG_SIGNATURE]], _PNG_SIGNATURE
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if kind[:1].isupper() or kind in _PNG_KEPT:
            pieces.append(data[place:end])
        if kind == b"IEND":
            break
        place = end
    return b"".join(pieces)


def _bare_webp(data: bytes) -> bytes:
    """Chunks but EXIF and XMP; the header that announces them says so no more."""
    pieces, place = [], 12
    while place + 8 <= len(data):
        kind, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + size + size % 2
        chunk = data[place:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA_FLAGS]) + chunk[9:]
        if kind not in _WEBP_DROPPED:
            pieces.append(chunk)
        place = end
    body = b"WEBP" + b"".join(pieces)
    return b"RIFF" + struct.pack("<I", len(body)) + body
