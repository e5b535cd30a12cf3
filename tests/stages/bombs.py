"""Small files that ask for much time or memory; run as a process of its own, under limits on both.

`python -m tests.stages.bombs` prints how each ended as JSON.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
import zlib

from PIL import Image

from nameplate.recipe import ImageSection
from nameplate.stages.fetch.pixels.decode import strict_pillow
from nameplate.stages.fetch.pixels.prepare import prepare_image
from nameplate.stages.fetch.result import LinkFailed

from . import icc, pictures

CPU_SECONDS = 60
ADDRESS_BYTES = 2 << 30


def png_with(key: bytes, body: bytes, *, times: int = 1) -> bytes:
    """The scene with more chunks behind its header."""
    data = pictures.encoded(pictures.scene(), "PNG")
    return data[:33] + pictures.png_chunk(key, body) * times + data[33:]


def huge_header(form: str) -> bytes:
    """A picture whose header promises 8,000 x 6,000 pixels, within the limit, and whose data is 64 x 48."""
    data = bytearray(pictures.encoded(pictures.scene(), form))
    if form == "PNG":
        data[16:24] = struct.pack(">II", 8_000, 6_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif form == "BMP":
        data[18:26] = struct.pack("<ii", 8_000, 6_000)
    elif form == "GIF":
        data[6:10] = struct.pack("<HH", 8_000, 6_000)
    else:
        place = data.index(b"\xff\xc0")
        data[place + 5 : place + 9] = struct.pack(">HH", 6_000, 8_000)
    return bytes(data)


def gif_frames(times: int) -> bytes:
    data = pictures.frames("GIF", duration=50)
    start = data.index(b"\x21\xf9", data.index(b"\x21\xf9") + 1)
    end = data.index(b"\x21\xf9", start + 1)
    return data[:start] + data[start:end] * times + data[start:]


def webp_frames(times: int) -> bytes:
    data = pictures.frames("WEBP", lossless=True)
    start = data.index(b"ANMF")
    size = 8 + int.from_bytes(data[start + 4 : start + 8], "little")
    body = data[8:start] + data[start : start + size] * times + data[start:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff_tag(count: int, *, next_place: int | None = None) -> bytes:
    """A TIFF whose description claims `count` bytes; its next page may be itself."""
    data = bytearray(pictures.encoded(pictures.scene(), "TIFF", description="x" * 40))
    (place,) = struct.unpack_from("<I", data, 4)
    (num_tags,) = struct.unpack_from("<H", data, place)
    for tag in range(num_tags):
        entry = place + 2 + 12 * tag
        if struct.unpack_from("<H", data, entry)[0] == 270:
            struct.pack_into("<I", data, entry + 4, count)
    if next_place is not None:
        struct.pack_into("<I", data, place + 2 + 12 * num_tags, next_place or place)
    return bytes(data)


def looping_exif() -> bytes:
    """EXIF whose sub-directory is the directory itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    body = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + struct.pack("<I", 8)
    return pictures.encoded(pictures.scene(), "JPEG", exif=body)


def jpeg_scans(times: int) -> bytes:
    data = pictures.encoded(Image.linear_gradient("L").resize((4_000, 3_000)), "JPEG", progressive=True, quality=30)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * times + data[-2:]


def bombs() -> dict[str, tuple[bytes, str]]:
    """Each bomb with the ending that it must have."""
    zeros = zlib.compress(bytes(200_000_000), 9)
    text = b"Comment\0\0" + zlib.compress(bytes(900_000), 9)
    profiled = pictures.encoded(pictures.scene(), "JPEG", icc_profile=icc.ink_profile(padding=10_000_000))
    return {
        "png text": (png_with(b"zTXt", b"Comment\0\0" + zeros), "decode_error"),
        "png texts": (
            png_with(b"zTXt", text, times=2_000),
            "decode_error",
        ),
        "png profile": (png_with(b"iCCP", b"icc\0\0" + zeros), "decode_error"),
        "png promise": (huge_header("PNG"), "decode_error"),
        "jpeg promise": (huge_header("JPEG"), "truncated"),
        "gif promise": (huge_header("GIF"), "kept"),
        "bmp promise": (huge_header("BMP"), "decode_error"),
        "gif frames": (gif_frames(10_000), "kept"),
        "webp frames": (webp_frames(20_000), "kept"),
        "tiff tag": (tiff_tag(0xFFFFFFF0), "kept"),
        "tiff loop": (tiff_tag(40, next_place=0), "kept"),
        "exif loop": (looping_exif(), "kept"),
        "large profile": (profiled, "kept"),
        "jpeg scans": (jpeg_scans(5_000), "decode_error"),
    }


def main() -> None:
    """Prepare each bomb."""
    made = bombs()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    endings = {}
    with strict_pillow():
        for name, (data, _) in made.items():
            try:
                prepare_image(data, ImageSection())
                endings[name] = "kept"
            except LinkFailed as failure:
                endings[name] = str(failure.status)
    sys.stdout.write(json.dumps(endings) + "\n")


if __name__ == "__main__":
    main()
