"""Where names stand in a text: whole adjacent words, leftmost first, longest match wins and uses its words up."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nameplate.names.normalise import Token, tokens
from nameplate.names.registry import NameEntry, Registry

_HEAD = 16
"""Up to so many letters all beginnings of names are kept; of a longer name all would be more than it is worth."""

_SHORT_KEY = 6
"""Shorter keys meet by chance across words ("a PC" is not A.P.C.), so their words must be divided as in the name."""

# Inside a name: spaces, hyphens, apostrophes, dots and the like; a new line or a sentence's other marks end it.
_JOINT = re.compile(r"(?:[-‐‑‒–'’ʼ`´·・•./_*\u00ad\u200b-\u200d\ufeff]|[^\S\n])*")
_DOT_AND_SPACE = re.compile(r"\.\s")
_SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Occurrence:
    """One name in a text, by tokens [first, last) and characters [start, end)."""

    entry: NameEntry
    first: int
    last: int
    start: int
    end: int
    respaced: bool
    """Divided by spaces otherwise than any spelling of the name ("super dry" for Superdry)."""
    former: bool = False
    """What the name was called once."""


class OccurrenceFinder:
    """Finds the names of one registry; made once, used for many texts."""

    def __init__(self, registry: Registry) -> None:
        self._by_key = registry.by_key
        self._former = registry.former_keys
        self._heads = {key[:length] for key in self._by_key for length in range(1, min(len(key), _HEAD) + 1)}
        self._long_keys = sorted(key for key in self._by_key if len(key) > _HEAD)
        spelled = [(spelling, tokens(spelling)) for entry in registry.entries for spelling in entry.spellings]
        self._divisions = {tuple(token.text for token in words) for _, words in spelled}
        self._own_gaps = {
            (left.text, _gap(spelling, left, right), right.text)
            for spelling, words in spelled
            for left, right in pairwise(words)
        }

    def find(self, text: str, words: Sequence[Token]) -> list[Occurrence]:
        """All names in `text`, whose tokens are `words`; they do not overlap."""
        found: list[Occurrence] = []
        place = 0
        while place < len(words):
            longest = self._longest(text, words, place) if self._begins_a_name(words[place].text) else None
            if longest is not None:
                found.append(longest)
            place = longest.last if longest is not None else place + 1
        return found

    def _begins_a_name(self, start: str) -> bool:
        if len(start) <= _HEAD:
            return start in self._heads
        place = bisect_left(self._long_keys, start)
        return place < len(self._long_keys) and self._long_keys[place].startswith(start)

    def _longest(self, text: str, words: Sequence[Token], first: int) -> Occurrence | None:
        best: Occurrence | None = None
        key = ""
        for last in range(first, len(words)):
            if last > first and not self._joins(text, words[last - 1], words[last]):
                break
            key += words[last].text
            if not self._begins_a_name(key):
                break
            entry = self._by_key.get(key)
            if entry is not None:
                best = self._occurrence(text, words[first : last + 1], first, entry) or best
        return best

    def _occurrence(self, text: str, words: Sequence[Token], first: int, entry: NameEntry) -> Occurrence | None:
        start, end = words[0].start, words[-1].end
        division = tuple(word.text for word in words)
        key = "".join(division)
        as_written = division in self._divisions or not _SPACE.search(text[start:end])
        spelled_out = all(len(word) == 1 for word in division)
        if not (as_written or spelled_out or len(key) >= _SHORT_KEY):
            return None
        respaced = not (as_written or spelled_out)
        return Occurrence(entry, first, first + len(words), start, end, respaced, key in self._former)

    def _joins(self, text: str, left: Token, right: Token) -> bool:
        """Whether what stands between two words may stand inside a name: in any, or in this one ("Fila, Inc.")."""
        return _joins(text, left, right) or (left.text, _gap(text, left, right), right.text) in self._own_gaps


def _gap(text: str, left: Token, right: Token) -> str:
    return " ".join(unicodedata.normalize("NFKC", text[left.end : right.start]).split())


def _joins(text: str, left: Token, right: Token) -> bool:
    gap = text[left.end : right.start]
    if gap in ("", " "):
        return True
    if not _JOINT.fullmatch(gap):
        return False
    if not _DOT_AND_SPACE.search(gap):
        return True
    # "St. John" and "A. P. C." go on after the dot; "version Y. 3 bags" and longer words do not.
    return len(left.text) <= 3 and not (len(left.text) == 1 and right.text.isdigit())
