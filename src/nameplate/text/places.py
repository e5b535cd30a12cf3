"""Where in a caption a rule looked, roughly: for a person who reads examples.

Rules about the whole of a text (its length, its language, few words) have no place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from nameplate.records import CleanReason
from nameplate.text.quotes import has_stray_quotes, stray_quotes
from nameplate.text.reading import NGRAM, Reading

_COPIES_BACKWARDS = re.compile(r"(.{1,200}?)\1+", re.DOTALL)
_REPEATED = re.compile(r"\b(\S.{0,120}?\W)\1{2,}")
_ODD = re.compile(r"[^\x00-\x7f]+|[\x00-\x1f\x7f]|(\W)\1{5,}")
_SENTENCE = re.compile(r"[^.!?。！？；;]{5,}")
_NUMBERS = re.compile(r"\d+(?:\D{1,30}?\d+){3,}")
_OPENING = 24


class Place(NamedTuple):
    """Characters [start, end) of a text."""

    start: int
    end: int


def find_place(reason: CleanReason, text: str) -> Place | None:
    """What of `text` made a rule fire, if that is one place."""
    find = _FINDERS.get(reason)
    return find(text) if find is not None else None


def _first(pattern: re.Pattern[str]) -> Callable[[str], Place | None]:
    def find(text: str) -> Place | None:
        found = pattern.search(text)
        return Place(*found.span()) if found else None

    return find


def _opening(text: str) -> Place | None:
    return Place(0, min(_OPENING, len(text)))


def _garble(text: str) -> Place | None:
    if has_stray_quotes(Reading(text)):
        first = stray_quotes(text)[0]
        return Place(first, first + 1)
    return _first(_ODD)(text)


def _end(text: str) -> Place | None:
    """The copies at the end; read from there, since a pattern over a whole looped text is slow."""
    backwards = text[::-1][:1000]
    found = _COPIES_BACKWARDS.match(backwards)
    return Place(len(text) - found.end(), len(text)) if found else None


def _repeated_sentence(text: str) -> Place | None:
    sentences = list(_SENTENCE.finditer(text))
    counts = Counter(found.group().strip().casefold() for found in sentences)
    most = max(counts.values(), default=0)
    return next(
        (Place(*found.span()) for found in sentences if most > 1 and counts[found.group().strip().casefold()] == most),
        None,
    )


def _repeated_words(text: str) -> Place | None:
    reading = Reading(text)
    counts = Counter(reading.grams)
    if not counts:
        return None
    words = counts.most_common(1)[0][0]
    assert len(words) == NGRAM
    return _first(re.compile(r"\W*".join(map(re.escape, words)), re.IGNORECASE))(text)


_FINDERS: Final[dict[CleanReason, Callable[[str], Place | None]]] = {
    CleanReason.REFUSAL: _opening,
    CleanReason.LEAKED: _opening,
    CleanReason.WRAPPED: _opening,
    CleanReason.GARBLED: _garble,
    CleanReason.MOJIBAKE: _first(_ODD),
    CleanReason.TAIL_LOOP: _end,
    CleanReason.INNER_LOOP: _first(_REPEATED),
    CleanReason.SENTENCE_REPEAT: _repeated_sentence,
    CleanReason.NGRAM_COVER: _repeated_words,
    CleanReason.COUNTING: _first(_NUMBERS),
    CleanReason.WRONG_SCRIPT: _first(re.compile(r"[^\x00-\x7f]+")),
}
