"""Texts as a person sees them: HTML entities and full-width forms as the characters they stand for."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

# With its semicolon only: "Rock&Reg" is no trade mark.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_FULL_WIDTH = {0xFF01 + place: 0x21 + place for place in range(94)} | {0x3000: 0x20}


class PlainText(NamedTuple):
    """A text to be read, and where its characters stand in the text that was given.

    `places` has one place for every character and one for the end; none when the two texts are equally long.
    """

    text: str
    places: tuple[int, ...] | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text that was given."""
        return (start, end) if self.places is None else (self.places[start], self.places[end])


def read_plainly(text: str) -> PlainText:
    """`text` without HTML entities and in one width."""
    same_length = text if text.isascii() else text.translate(_FULL_WIDTH)
    if "&" not in same_length or not _ENTITY.search(same_length):
        return PlainText(same_length)
    pieces: list[str] = []
    places: list[int] = []
    last = 0
    for match in _ENTITY.finditer(same_length):
        piece = html.unescape(match.group())
        pieces += (same_length[last : match.start()], piece)
        places += (*range(last, match.start()), *[match.start()] * len(piece))
        last = match.end()
    pieces.append(same_length[last:])
    places += range(last, len(same_length) + 1)
    return PlainText("".join(pieces), tuple(places))


def unescape(text: str) -> str:
    """`text` with its HTML entities as characters, once over."""
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text
