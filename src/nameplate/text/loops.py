"""Endless loops, as teachers produce them.

Each rule first looks for a cheap proof that no loop of its kind is there; tests hold the rules to their plain forms.
Published document rules (Gopher, C4) reject most good captions of under 15 words. Only the last 2,000 characters are
read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from operator import eq

from nameplate.records import CleanReason
from nameplate.text.reading import NGRAM, Reading, grams_of, num_repeated
from nameplate.text.words import has_cjk

_MIN_SPAN, _MIN_SPAN_CJK = 24, 12
_MIN_SENTENCE, _MIN_SENTENCE_CJK = 12, 5
_NGRAM_MIN_WORDS = 12
# Four Chinese characters are two words: honest parallels ("on the left ..., on the right ...") say them three times.
_NGRAM_MIN_COUNT, _NGRAM_MIN_COUNT_CJK = 3, 4
# Copies that differ by a number ("2 pockets, 3 pockets, ...") may be a list of sizes: so many more of them are wanted.
_MORE_WITH_NUMBERS = 2
_ANY_NUMBER = "0"
_COUNTING_WINDOW = 60
_FEW_WINDOW = 50
_SENTENCE_ENDS = "!?。！？；;"


# At the end: one piece over and over.


def tail_loop(reading: Reading, *, min_repeats: int) -> CleanReason | None:
    """One piece over and over at the end."""
    return CleanReason.TAIL_LOOP if _ends_in_copies(reading.tail, min_repeats, _span(reading)) else None


def _ends_in_copies(text: str, min_repeats: int, min_span: int) -> bool:
    """Whether a piece stands so many times at the end, on at least so many characters; a cut last copy hides nothing.

    Copies all end alike: only where the text's own last characters stood before can a copy end.
    """
    copies, shortest = _needed(min_repeats, min_span)
    ending = text[-shortest:]
    place = text.rfind(ending, 0, len(text) - 1) if len(text) > shortest else -1
    while place >= 0:
        period = len(text) - shortest - place
        same = ((copies[period - 1] if period <= min_span else min_repeats) - 1) * period
        if same + period <= len(text) and text[-same - period : -period] == text[-same:]:
            return True
        place = text.rfind(ending, 0, place + shortest - 1)
    return False


@lru_cache(maxsize=64)
def _needed(min_repeats: int, min_span: int) -> tuple[list[int], int]:
    """Copies that make a loop, for periods of 1, 2, ... characters; and the fewest characters that they repeat."""
    copies = [max(min_repeats, -(-min_span // period)) for period in range(1, min_span + 1)]
    return copies, min((count - 1) * period for period, count in enumerate(copies, start=1))


# In the middle: the same, and then the text recovers.


def inner_loop(reading: Reading, *, min_repeats: int) -> CleanReason | None:
    """One piece over and over anywhere, once more than at the end: a good text may well say a thing three times.

    Copies that differ by a number only are a loop too, when there are two more of them.
    """
    copies = min_repeats + 1
    found = _has_inner_loop(reading, reading.words, copies=copies, repeated_grams=reading.repeated_grams)
    copies += _MORE_WITH_NUMBERS
    if not found and sum(map(str.isdigit, reading.words)) >= copies:
        masked = [_ANY_NUMBER if word.isdigit() else word for word in reading.words]
        found = _has_inner_loop(reading, masked, copies=copies, repeated_grams=num_repeated(grams_of(masked)))
    return CleanReason.INNER_LOOP if found else None


def _has_inner_loop(reading: Reading, words: Sequence[str], *, copies: int, repeated_grams: int) -> bool:
    # The copies hold the same 4-grams; so many repeated ones leave room for periods of at most so many words.
    for period in range(1, 1 + max(1, (repeated_grams + NGRAM - 1) // (copies - 1))):
        same = bytes(map(eq, words, words[period:]))
        wanted = b"\1" * period * (copies - 1)
        start = same.find(wanted)
        while start >= 0:
            end = same.find(b"\0", start)
            end = end if end >= 0 else len(same)
            if _is_piece(reading, words[start : start + period], start=start, end=end + period):
                return True
            start = same.find(wanted, end)
    return False


def _is_piece(reading: Reading, piece: Sequence[str], *, start: int, end: int) -> bool:
    """Whether the copies are long enough together, and not of several numbers (36, 37, 38 are sizes)."""
    run = reading.words[start:end]
    sizes = set(piece) == {_ANY_NUMBER} and len(set(run)) > 1
    return not sizes and len(("" if reading.has_cjk else " ").join(run)) >= _span(reading)


# Not in a row: sentences, frames, few words, numbers.


def sentence_repeats(reading: Reading) -> int:
    """Copies of the most frequent sentence that is not very short, not necessarily in a row."""
    text = reading.tail
    for mark in _SENTENCE_ENDS:
        text = text.replace(mark, ".")
    sentences = [piece.strip() for piece in text.split(".")]
    if len(set(sentences)) == len(sentences):
        return 1
    counts = Counter(
        sentence
        for sentence in sentences
        if len(sentence) >= (_MIN_SENTENCE_CJK if has_cjk(sentence) else _MIN_SENTENCE)
    )
    return max(counts.values(), default=1)


def sentence_repeat(reading: Reading, *, min_repeats: int) -> CleanReason | None:
    """One sentence several times."""
    return CleanReason.SENTENCE_REPEAT if sentence_repeats(reading) >= min_repeats else None


def covered_share(reading: Reading) -> float:
    """Share of the words under 4-grams seen at least three times (Chinese: four); 0 in texts of under 12 words."""
    words = reading.words
    if len(words) < _NGRAM_MIN_WORDS:
        return 0.0
    least = _NGRAM_MIN_COUNT_CJK if reading.has_cjk else _NGRAM_MIN_COUNT
    counts = Counter(reading.grams)
    covered = bytearray(len(words))
    for start, gram in enumerate(reading.grams):
        if counts[gram] >= least:
            covered[start : start + NGRAM] = b"\1" * NGRAM
    return sum(covered) / len(words)


def ngram_cover(reading: Reading, *, max_cover: float) -> CleanReason | None:
    """Much of the text under repeated 4-grams: one sentence frame with a word changed each time."""
    # A 4-gram seen three times is two of the repeated ones and covers at most 12 words: 6 words for each.
    if NGRAM * _NGRAM_MIN_COUNT * reading.repeated_grams < max_cover * len(reading.words) * (_NGRAM_MIN_COUNT - 1):
        return None
    return CleanReason.NGRAM_COVER if covered_share(reading) >= max_cover else None


def distinct_words(reading: Reading) -> int:
    """Different words among the last 50; 50 in shorter texts, of which nothing is said."""
    words = reading.words
    return len(set(words[-_FEW_WINDOW:])) if len(words) >= _FEW_WINDOW else _FEW_WINDOW


def few_words(reading: Reading, *, max_distinct: int) -> CleanReason | None:
    """A salad of a few words in changing order, which no other rule sees."""
    return CleanReason.FEW_WORDS if distinct_words(reading) <= max_distinct else None


def count_numbers(reading: Reading) -> int:
    """Numbers among the last 60 words."""
    return sum(map(str.isdigit, reading.words[-_COUNTING_WINDOW:]))


def counting(reading: Reading, *, min_numbers: int) -> CleanReason | None:
    """1, 2, 3, and on."""
    return CleanReason.COUNTING if count_numbers(reading) >= min_numbers else None


def _span(reading: Reading) -> int:
    return _MIN_SPAN_CJK if reading.has_cjk else _MIN_SPAN
