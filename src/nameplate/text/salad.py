"""Words thrown together: letters that nobody can say, endless words, English without its grammar.

Missed: words that do not exist but could ("a torkas bag"), and real words in a wrong order that happen to follow each
other well; both need a model of the language.
"""

from __future__ import annotations

import re
from itertools import pairwise

from nameplate.records import CleanReason
from nameplate.text.language import Language
from nameplate.text.reading import Reading

_LONGEST_WORD = 40
_VOWELS = frozenset("aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüý")
_UNSAYABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}")
_MIN_LETTERS = 4
_MIN_UNSAYABLE, _MAX_UNSAYABLE_SHARE = 4, 0.2
_CONSONANTS = {code: "x" if chr(code) in "bcdfghjklmnpqrstvwxz" else " " for code in range(128)}
# Nothing of this ever follows an article: "the of", "a is", "the the".
_ARTICLES = ("the", "a", "an")
_NEVER_AFTER = (
    *("the", "a", "an", "of", "and", "or", "is", "are", "was", "were", "has", "with", "from", "by"),
    *("its", "it", "this", "that", "their", "which"),
)
_WRONG_PAIRS = frozenset((article, after) for article in _ARTICLES for after in _NEVER_AFTER)
_WRONG = re.compile(rf"\b(?:{'|'.join(_ARTICLES)}) (?:{'|'.join(_NEVER_AFTER)}) ")
_MIN_WRONG, _MAX_WRONG_SHARE = 3, 0.15


def word_salad(reading: Reading, *, language: Language) -> CleanReason | None:
    """A word of over 40 letters, many words that nobody can say, or articles before what no article precedes."""
    salad = _has_endless_word(reading) or _is_unsayable(reading) or (language == "en" and _is_ungrammatical(reading))
    return CleanReason.WORD_SALAD if salad else None


def _has_endless_word(reading: Reading) -> bool:
    return not reading.has_cjk and len(max(reading.words, key=len, default="")) > _LONGEST_WORD


def _is_unsayable(reading: Reading) -> bool:
    # Each such word holds four consonants in a row.
    if reading.is_ascii and reading.tail.translate(_CONSONANTS).count("xxxx") < _MIN_UNSAYABLE:
        return False
    long = {word for word in reading.words if len(word) >= _MIN_LETTERS and word.isalpha()}
    unsayable = sum(_VOWELS.isdisjoint(word) or _UNSAYABLE.search(word) is not None for word in long if word.isascii())
    return unsayable >= _MIN_UNSAYABLE and unsayable > len(long) * _MAX_UNSAYABLE_SHARE


def _is_ungrammatical(reading: Reading) -> bool:
    words = reading.words
    if _WRONG_PAIRS.isdisjoint(pairwise(words)):
        return False
    wrong = len(_WRONG.findall(reading.tail))
    return wrong >= _MIN_WRONG and wrong > sum(map(words.count, _ARTICLES)) * _MAX_WRONG_SHARE
