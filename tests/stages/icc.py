"""ICC profiles made by hand, for pictures in tests: three colour channels, grey, or four inks."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import product

SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""X, Y, Z of red, green and blue, adapted to D50."""

D50 = (0.9642, 1.0, 0.8249)

# Lab of paper, and of each ink alone: coated paper, roughly. Overprints are taken as sums.
_PAPER = (95.0, 0.0, -2.0)
_INKS = ((55.0, -37.0, -50.0), (48.0, 74.0, -3.0), (89.0, -5.0, 93.0), (16.0, 0.0, 0.0))


def srgb_curve(points: int = 1024) -> list[float]:
    """The curve of sRGB as a table, as most profiles have it."""
    values = [place / (points - 1) for place in range(points)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def rgb_profile(
    primaries: Sequence[tuple[float, float, float]], curve: Sequence[float] | float, *, name: str = "test"
) -> bytes:
    """A display profile: three primaries and one curve (a table, or a gamma)."""
    tags = {key: _xyz(value) for key, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    return _profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve)), name=name)


def grey_profile(curve: Sequence[float] | float, *, name: str = "grey") -> bytes:
    """A profile of one channel."""
    return _profile(b"GRAY", {b"kTRC": _curve(curve)}, name=name)


def ink_profile(*, padding: int = 0) -> bytes:
    """A printer's profile: a table of the sixteen corners of cyan, magenta, yellow and black, to Lab."""
    corners = [_overprint(inks) for inks in product((0, 1), repeat=4)]
    table = b"".join(
        struct.pack(">BBB", round(light * 2.55), round(a + 128), round(b + 128)) for light, a, b in corners
    )
    line = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    lut = b"mft1" + bytes(4) + struct.pack(">BBBx", 4, 3, 2) + identity + line * 4 + table + line * 3
    return _profile(
        b"CMYK", {b"A2B0": lut, b"fill": b"data" + bytes(8 + padding)}, name="inks", kind=b"prtr", pcs=b"Lab "
    )


def _overprint(inks: Sequence[int]) -> tuple[float, float, float]:
    light, a, b = _PAPER
    for ink, (own_light, own_a, own_b) in zip(inks, _INKS, strict=True):
        if ink:
            light, a, b = light * own_light / _PAPER[0], a + own_a, b + own_b
    return light, max(-120.0, min(120.0, a)), max(-120.0, min(120.0, b))


def _profile(
    space: bytes, tags: Mapping[bytes, bytes], *, name: str, kind: bytes = b"mntr", pcs: bytes = b"XYZ "
) -> bytes:
    text = name.encode() + b"\0"
    every = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _xyz(D50),
    } | dict(tags)
    index, body, place = b"", b"", 128 + 4 + 12 * len(every)
    for key, value in every.items():
        value += bytes(-len(value) % 4)
        index += key + struct.pack(">II", place + len(body), len(value))
        body += value
    size = place + len(body)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"none", 0x02400000, kind, space, pcs, bytes(12), b"acsp")
    head = (head + bytes(28) + struct.pack(">3i", *(_fixed(value) for value in D50))).ljust(128, b"\0")
    return head + struct.pack(">I", len(every)) + index + body


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(_fixed(part) for part in value))


def _curve(curve: Sequence[float] | float) -> bytes:
    if isinstance(curve, int | float):
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(curve * 256))
    return b"curv" + bytes(4) + struct.pack(f">I{len(curve)}H", len(curve), *(round(part * 65535) for part in curve))


def _fixed(value: float) -> int:
    return round(value * 65536)
