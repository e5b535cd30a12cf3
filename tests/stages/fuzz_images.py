"""Corrupts pictures by the thousand and prepares each; run as a process of its own, so that limits and crashes are its.

`python -m tests.stages.fuzz_images FAMILY NUM_IMAGES FOLDER` prints how they ended as JSON. FOLDER/last holds the image
that was being prepared, for when the process dies.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from nameplate.recipe import ImageSection
from nameplate.records import FetchStatus, ImageChange
from nameplate.stages.fetch.pixels.decode import can_read_heic, strict_pillow
from nameplate.stages.fetch.pixels.prepare import prepare_image
from nameplate.stages.fetch.result import LinkFailed
from nameplate.store.memory import peak_bytes

from . import pictures

FAMILIES = {
    "jpeg": ("jpeg",),
    "png": ("png",),
    "gif": ("gif", "bmp"),
    "webp": ("webp",),
    "tiff": ("tiff",),
    "avif": ("avif",),
    **({"heic": ("heic",)} if can_read_heic() else {}),
}
CPU_SECONDS = 120
ADDRESS_BYTES = 3 << 30

MAX_PIXELS = ImageSection().max_pixels
ENDINGS = {
    FetchStatus.NOT_AN_IMAGE,
    FetchStatus.TRUNCATED,
    FetchStatus.DECODE_ERROR,
    FetchStatus.TOO_MANY_PIXELS,
    FetchStatus.TOO_SMALL,
    FetchStatus.BAD_ASPECT,
    FetchStatus.BLANK,
}
_KINDS = ("flip", "set", "cut", "copy", "splice", "end", "number", "sums")
_NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


class Edit(NamedTuple):
    """One corruption: of what kind, where, and with which value."""

    kind: Literal["flip", "set", "cut", "copy", "splice", "end", "number", "sums"]
    place: int
    value: int


EDITS = st.lists(
    st.builds(Edit, st.sampled_from(_KINDS), st.integers(0, 2**20), st.integers(0, 2**20)), min_size=1, max_size=5
)


def seeds(family: str) -> list[bytes]:
    """Good pictures of a family."""
    every = pictures.plain() | {name: data for name, (data, _) in pictures.changed().items()}
    if can_read_heic():
        every |= {name: data for name, (data, _) in pictures.heic().items()}
    return [data for name, data in every.items() if name.startswith(FAMILIES[family])]


def corrupted(data: bytes, edits: Sequence[Edit], other: bytes) -> bytes:
    """`data` after all edits; half of the places lie in the first 200 bytes, where the headers are."""
    for kind, place, value in edits:
        size = max(1, len(data))
        start = (place // 2) % (min(size, 200) if place % 2 else size)
        length = value % 64 + 1
        if kind == "flip":
            data = data[:start] + bytes([data[start] ^ (1 << value % 8)]) + data[start + 1 :] if data else data
        elif kind == "set":
            data = data[:start] + bytes([value % 256]) * (length % 8 + 1) + data[start + length % 8 + 1 :]
        elif kind == "cut":
            data = data[:start] + data[start + length :]
        elif kind == "copy":
            data = data[:start] + data[start : start + length] * (value % 40 + 2) + data[start + length :]
        elif kind == "splice":
            data = data[:start] + other[value % len(other) :]
        elif kind == "end":
            data = data[: start or size]
        elif kind == "number":
            order: Literal["big", "little"] = "big" if value % 2 else "little"
            width = 2 if value % 3 else 4
            number = _NUMBERS[value % len(_NUMBERS)] % (1 << 8 * width)
            data = data[:start] + number.to_bytes(width, order) + data[start + width :]
        elif data.startswith(b"\x89PNG"):
            data = with_right_sums(data)
    return data


def with_right_sums(data: bytes) -> bytes:
    """A PNG whose sums are right again: without this, no corruption would get past them."""
    made, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + length]
        made += data[place : place + 4] + body + crc32(body).to_bytes(4, "big")
        place += 12 + length
    return bytes(made)


def ending(data: bytes, longest_side: int | None) -> str:
    """How an image ended; what is kept of it must make sense."""
    section = ImageSection(min_side=1, longest_side=longest_side)
    try:
        kept = prepare_image(data, section)
    except LinkFailed as failure:
        assert failure.status in ENDINGS, failure
        return str(failure.status)
    assert kept.ext in {"jpg", "png", "webp"} and set(kept.changes) <= {change.value for change in ImageChange}
    assert 0 < kept.width * kept.height <= kept.source_width * kept.source_height <= MAX_PIXELS
    assert len(kept.phash) == 16 and int(kept.phash, 16) >= 0
    assert bool(kept.changes) == (kept.data != data)
    with Image.open(BytesIO(kept.data)) as image:
        assert image.size == (kept.width, kept.height)
    return "kept"


def run(family: str, num_images: int, folder: Path) -> Counter[str]:
    """Prepare so many corrupted pictures; the same ones each time."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    good = seeds(family)
    counts: Counter[str] = Counter()
    last = folder / "last"

    @given(st.sampled_from(good), EDITS, st.sampled_from(good), st.sampled_from((None, 33)))
    @settings(
        max_examples=num_images,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def prepare(data: bytes, edits: list[Edit], other: bytes, longest_side: int | None) -> None:
        bad = corrupted(data, edits, other)
        last.write_bytes(bad)
        counts[ending(bad, longest_side)] += 1

    with strict_pillow():
        prepare()
    return counts


def main() -> None:
    """Run one family and print its counts."""
    family, num_images, folder = sys.argv[1:]
    counts = run(family, int(num_images), Path(folder))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss: a child's starts at what its parent held before the exec.
    figures = {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1), "max_rss_mb": peak_bytes() >> 20}
    sys.stdout.write(json.dumps({"counts": dict(counts), **figures}) + "\n")


if __name__ == "__main__":
    main()
