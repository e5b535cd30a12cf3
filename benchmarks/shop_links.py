"""What each link of the benchmark's shop does: known to the server that does it and to the check that counts."""

from __future__ import annotations

import csv
import random
from enum import StrEnum
from pathlib import Path

HOST = "127.0.0.1"
SLOW_DOWN_HOST = "127.0.0.2"


class LinkKind(StrEnum):
    """How the server answers a link."""

    GOOD = "good"
    NOT_FOUND = "not_found"
    GONE = "gone"
    PAGE = "page"
    """An HTML page with status 200 and the type of an image."""
    CUT_BODY = "cut_body"
    """The connection closes after half of the body that the header promised."""
    CUT_FILE = "cut_file"
    """Half a JPEG, sent whole."""
    RESET = "reset"
    """The connection is reset, always."""
    OPTED_OUT = "opted_out"
    """X-Robots-Tag: noai."""
    FLAKY = "flaky"
    """500 twice, then the image."""
    UNSTEADY = "unsteady"
    """The connection is reset once, then the image."""
    SLOW_DOWN = "slow_down"
    """On a host of its own, which says 429 with Retry-After: 1 until a second after it was first asked."""


SAVEABLE = frozenset({LinkKind.GOOD, LinkKind.FLAKY, LinkKind.UNSTEADY, LinkKind.SLOW_DOWN})
"""Kinds that a perfect fetcher saves."""

FINAL = frozenset({LinkKind.NOT_FOUND, LinkKind.GONE, LinkKind.OPTED_OUT})
"""Kinds that say "do not ask again" in their first answer."""


def link_kinds(num_links: int) -> list[LinkKind]:
    """The kind of each row's link: 1 % of each bad kind, scattered; those of the second host lie together."""
    bad = [kind for kind in LinkKind if kind is not LinkKind.GOOD]
    each = max(1, num_links // 100)
    kinds = [LinkKind.GOOD] * num_links
    together = range(num_links // 2, num_links // 2 + each)
    for row in together:
        kinds[row] = LinkKind.SLOW_DOWN
    others = [kind for kind in bad if kind is not LinkKind.SLOW_DOWN for _ in range(each)]
    free = [row for row in range(num_links) if row not in together]
    for row, kind in zip(random.Random(0).sample(free, len(others)), others, strict=True):
        kinds[row] = kind
    return kinds


def write_table(path: Path, *, num_links: int, port: int, scheme: str = "http") -> None:
    """Write the product table that both tools read."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "brand", "title", "imageurl"])
        for row, kind in enumerate(link_kinds(num_links)):
            host = SLOW_DOWN_HOST if kind is LinkKind.SLOW_DOWN else HOST
            writer.writerow([row, f"Brand {row % 40}", f"Product {row}", f"{scheme}://{host}:{port}/p/{row}.jpg"])
