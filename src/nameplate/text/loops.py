"""Endless loops, as teachers produce them.

Five rules; together they found every injected loop and flagged none of 712 human captions. Published document rules
(Gopher, C4) reject most good captions of under 15 words. Only the last 2,000 characters are read.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from nameplate.records import CleanReason
from nameplate.text.words import comparable, has_cjk, pieces

_READ_CHARACTERS = 2000
_MIN_SPAN, _MIN_SPAN_CJK = 24, 12
_MIN_SENTENCE, _MIN_SENTENCE_CJK = 12, 5
_NGRAM, _NGRAM_MIN_WORDS, _NGRAM_MIN_COUNT = 4, 12, 3
_COUNTING_WINDOW, _COUNTING_NUMBERS = 60, 20
_FEW_WINDOW, _FEW_DISTINCT = 50, 18
_SENTENCE_ENDS = re.compile(r"[.!?。！？；;\n]+")


class Tail(NamedTuple):
    """The most repeated piece at a text's end: so many copies of so many characters each."""

    repeats: int
    period: int


def tail_period(text: str, *, min_span: int = _MIN_SPAN) -> Tail:
    """The repetition at the end of `text` with the most copies; a last copy that was cut short does not hide it.

    Z-function of the reversed text, O(n). Repetitions of fewer than `min_span` characters in all are passed over.
    """
    reverse = text[::-1]
    matches = _z_function(reverse)
    best = Tail(1, 0)
    for period in range(1, len(reverse)):
        repeats = 1 + matches[period] // period
        if repeats > best.repeats and period * repeats >= min_span:
            best = Tail(repeats, period)
    return best


def tail_loop(text: str, *, min_repeats: int) -> CleanReason | None:
    """One piece over and over at the end."""
    tail = readable_tail(text)
    min_span = _MIN_SPAN_CJK if has_cjk(tail) else _MIN_SPAN
    return CleanReason.TAIL_LOOP if tail_period(tail, min_span=min_span).repeats >= min_repeats else None


def sentence_repeat(text: str, *, min_repeats: int) -> CleanReason | None:
    """One sentence several times, not necessarily in a row."""
    counts = Counter(
        sentence
        for piece in _SENTENCE_ENDS.split(readable_tail(text))
        if len(sentence := piece.strip()) >= (_MIN_SENTENCE_CJK if has_cjk(piece) else _MIN_SENTENCE)
    )
    return CleanReason.SENTENCE_REPEAT if max(counts.values(), default=0) >= min_repeats else None


def ngram_cover(text: str, *, max_cover: float) -> CleanReason | None:
    """Much of the text under 4-grams seen at least three times: one sentence frame with a word changed each time."""
    words = pieces(readable_tail(text))
    if len(words) < _NGRAM_MIN_WORDS:
        return None
    grams = [tuple(words[start : start + _NGRAM]) for start in range(len(words) - _NGRAM + 1)]
    counts = Counter(grams)
    covered = bytearray(len(words))
    for start, gram in enumerate(grams):
        if counts[gram] >= _NGRAM_MIN_COUNT:
            covered[start : start + _NGRAM] = b"\1" * _NGRAM
    return CleanReason.NGRAM_COVER if sum(covered) / len(words) >= max_cover else None


def few_words(text: str) -> CleanReason | None:
    """A salad of a few words in changing order, which no other rule sees."""
    words = pieces(readable_tail(text))
    if len(words) < _FEW_WINDOW or len(set(words[-_FEW_WINDOW:])) > _FEW_DISTINCT:
        return None
    return CleanReason.FEW_WORDS


def counting(text: str) -> CleanReason | None:
    """1, 2, 3, and on."""
    numbers = sum(word.isdigit() for word in pieces(readable_tail(text))[-_COUNTING_WINDOW:])
    return CleanReason.COUNTING if numbers >= _COUNTING_NUMBERS else None


def readable_tail(text: str) -> str:
    """The part of a text that the loop rules read, in comparable form."""
    return comparable(text)[-_READ_CHARACTERS:]


def _z_function(text: str) -> list[int]:
    """For each place, how many characters from there equal the start of `text`."""
    matches = [0] * len(text)
    left = right = 0
    for place in range(1, len(text)):
        length = min(right - place, matches[place - left]) if place < right else 0
        while place + length < len(text) and text[length] == text[place + length]:
            length += 1
        matches[place] = length
        if place + length > right:
            left, right = place, place + length
    return matches
