"""Broken text: characters no writer meant, encodings gone wrong, letters thrown together."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from ftfy.badness import is_bad

from nameplate.records import CleanReason
from nameplate.text.language import script_shares
from nameplate.text.words import CJK

# Cs, Co and Cn: surrogates, private use, unassigned. Cc without tab and line ends: control characters.
_BROKEN_CATEGORIES = {"Cs", "Co", "Cn", "Cc"}
_HARMLESS = "\t\n\r"
_REPLACEMENT = "\ufffd"
# What GBK readers make of broken UTF-8 and of fresh memory; ftfy does not know them.
_KNOWN_MOJIBAKE = re.compile("锟斤拷|烫烫|屯屯屯|ï»¿")
_MIN_CHARACTERS = 20
_MAX_SHARE_OF_ONE_MARK = 0.20
# A letter may be that frequent in a short honest text ("a tall, flat, all-black hat"); a looped one is seen elsewhere.
_MAX_SHARE_OF_ONE_LETTER = 0.35
_MIN_SHARE_OF_LETTERS = 0.5
_MAX_SCRIPTS = 3
_MIN_MIXED_WORD = 4
_MIXED_WORD = re.compile(rf"[^\W\d_{CJK}]{{{_MIN_MIXED_WORD},}}")
_LOOKALIKES = ("LATIN", "GREEK", "CYRILLIC")


def garbled(text: str) -> CleanReason | None:
    """Replacement or control characters, one character all over, hardly a letter, or scripts mixed at random."""
    broken = has_broken_characters(text) or is_monotonous(text) or has_few_letters(text) or mixes_scripts(text)
    return CleanReason.GARBLED if broken else None


def mojibake(text: str) -> CleanReason | None:
    """Text decoded in the wrong encoding ("ChloÃ©"), by ftfy's measure of badness and a list of its own."""
    return CleanReason.MOJIBAKE if _KNOWN_MOJIBAKE.search(text) or is_bad(text) else None


def has_broken_characters(text: str) -> bool:
    """Whether a character is in the text that no writer meant: U+FFFD, control, private use, unassigned."""
    return any(
        char == _REPLACEMENT or unicodedata.category(char) in _BROKEN_CATEGORIES
        for char in set(text)
        if char not in _HARMLESS
    )


def is_monotonous(text: str) -> bool:
    """Whether one character makes up more than a fifth of the text (a letter: more than a third)."""
    visible = [char for char in text if not char.isspace()]
    if len(visible) < _MIN_CHARACTERS:
        return False
    char, count = Counter(visible).most_common(1)[0]
    limit = _MAX_SHARE_OF_ONE_LETTER if char.isalnum() else _MAX_SHARE_OF_ONE_MARK
    return count / len(visible) > limit


def has_few_letters(text: str) -> bool:
    """Whether less than half of what is visible are letters, their marks and digits."""
    visible = [char for char in text if not char.isspace()]
    letters = sum(unicodedata.category(char)[0] in "LMN" for char in visible)
    return len(visible) >= _MIN_CHARACTERS and letters / len(visible) < _MIN_SHARE_OF_LETTERS


def mixes_scripts(text: str) -> bool:
    """Whether more than three scripts meet, or Latin, Greek and Cyrillic letters meet inside one word."""
    if text.isascii():
        return False
    return len(script_shares(text)) > _MAX_SCRIPTS or any(map(_is_mixed_word, _MIXED_WORD.findall(text)))


def _is_mixed_word(word: str) -> bool:
    names = [unicodedata.name(char, "") for char in word]
    return sum(any(name.startswith(script) for name in names) for script in _LOOKALIKES) > 1
