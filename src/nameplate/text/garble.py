"""Broken text: characters no writer meant, encodings gone wrong, letters and marks thrown together."""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache
from typing import Final

from ftfy.badness import is_bad

from nameplate.records import CleanReason
from nameplate.text.quotes import has_stray_quotes
from nameplate.text.reading import Reading
from nameplate.text.words import CJK

# Surrogates, private use, unassigned and control characters.
_BROKEN_CATEGORIES: Final = frozenset({"Cs", "Co", "Cn", "Cc"})
_REPLACEMENT: Final = "\ufffd"
_ASCII_BROKEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# One such character is a web page's leftover; a run of them is garbage. Joiners belong to emoji and Indic scripts.
_INVISIBLE: Final = frozenset("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\ufeff")
_INVISIBLE_RUN = re.compile(rf"[{''.join(sorted(_INVISIBLE))}]{{3}}")
# What GBK readers make of broken UTF-8 and of fresh memory; ftfy does not know them.
_KNOWN_MOJIBAKE = re.compile("锟斤拷|烫烫|屯屯屯|ï»¿")
# All patterns of both hold two neighbours beyond ASCII, or one of these letters and control characters.
_MAY_BE_MOJIBAKE = re.compile(r"[^\x00-\x7f]{2}|[ŒœÃÂ\x80-\x9f]")
_MIN_CHARACTERS = 20
_MAX_SHARE_OF_ONE_MARK = 0.20
# A letter may be that frequent in a short honest text ("a tall, flat, all-black hat"); a looped one is seen elsewhere.
_MAX_SHARE_OF_ONE_LETTER = 0.35
_MIN_SHARE_OF_LETTERS = 0.5
_MAX_SCRIPTS = 3
_MIN_MIXED_WORD = 4
_MIXED_WORD = re.compile(rf"[^\W\d_{CJK}]{{{_MIN_MIXED_WORD},}}")
_LOOKALIKES = ("LATIN", "GREEK", "CYRILLIC")
_LETTERS: Final = (string.ascii_letters + string.digits).encode()
# Each group is about a quarter of an English text, so that usually none is more than a third.
_LETTER_GROUPS: Final = (b"eldgvEDLVG0123", b"tiscpTISCP456", b"aorhbqjAORHBQJ78", b"numfwykxzNUMFWYKXZ9")
_SPACES: Final = "".join(filter(str.isspace, map(chr, range(128)))).encode()


def garbled(reading: Reading) -> CleanReason | None:
    """Replacement or control characters, one character all over, hardly a letter, scripts or quotes at random."""
    broken = (
        has_broken_characters(reading) or is_lopsided(reading) or mixes_scripts(reading) or has_stray_quotes(reading)
    )
    return CleanReason.GARBLED if broken else None


def mojibake(text: str) -> CleanReason | None:
    """Text decoded in the wrong encoding ("ChloÃ©"), by ftfy's measure of badness and a list of its own."""
    return CleanReason.MOJIBAKE if is_mojibake(text) else None


@lru_cache(maxsize=16)  # asked for the same text before and after its repairs
def is_mojibake(text: str) -> bool:
    """Whether `text` was decoded in the wrong encoding."""
    if text.isascii() or not _MAY_BE_MOJIBAKE.search(text):
        return False
    return _KNOWN_MOJIBAKE.search(text) is not None or bool(is_bad(text))


def has_broken_characters(reading: Reading) -> bool:
    """Whether a character is in the text that no writer meant: U+FFFD, control, private use, unassigned, invisible."""
    if not reading.text.isprintable() and _ASCII_BROKEN.search(reading.text):
        return True
    others = reading.beyond_ascii
    return any(map(_is_broken, others)) or (
        not _INVISIBLE.isdisjoint(others) and _INVISIBLE_RUN.search(reading.text) is not None
    )


def is_lopsided(reading: Reading) -> bool:
    """Whether one mark is more than a fifth of what is visible, one letter more than a third, or letters under half."""
    if _is_balanced(reading):
        return False
    counts = {char: reading.text.count(char) for char in set(reading.text) if not char.isspace()}
    total = sum(counts.values())
    if total < _MIN_CHARACTERS:
        return False
    letters = {char: count for char, count in counts.items() if _is_letter(char)}
    marks = [count for char, count in counts.items() if char not in letters]
    return (
        sum(letters.values()) < total * _MIN_SHARE_OF_LETTERS
        or max(letters.values(), default=0) > total * _MAX_SHARE_OF_ONE_LETTER
        or max(marks, default=0) > total * _MAX_SHARE_OF_ONE_MARK
    )


def mixes_scripts(reading: Reading) -> bool:
    """Whether more than three scripts meet, or Latin, Greek and Cyrillic letters meet inside one word."""
    if reading.is_ascii:
        return False
    num_scripts = len(reading.scripts)
    if num_scripts > _MAX_SCRIPTS:
        return True
    return num_scripts > 1 and any(map(_is_mixed_word, _MIXED_WORD.findall(reading.text)))


def _is_balanced(reading: Reading) -> bool:
    """A quick proof that `is_lopsided` is false: what is no ASCII letter is little, and so is each group of letters."""
    visible = reading.ascii_part.translate(None, _SPACES)
    others = len(visible.translate(None, _LETTERS)) + len(reading.text) - len(reading.ascii_part)
    most = len(visible) * _MAX_SHARE_OF_ONE_LETTER
    return others <= len(visible) * _MAX_SHARE_OF_ONE_MARK and all(
        len(visible) - len(visible.translate(None, group)) <= most for group in _LETTER_GROUPS
    )


@lru_cache(maxsize=8192)
def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


@lru_cache(maxsize=8192)
def _is_broken(char: str) -> bool:
    return char == _REPLACEMENT or unicodedata.category(char) in _BROKEN_CATEGORIES


def _is_mixed_word(word: str) -> bool:
    names = [unicodedata.name(char, "") for char in word]
    return sum(any(name.startswith(script) for name in names) for script in _LOOKALIKES) > 1
