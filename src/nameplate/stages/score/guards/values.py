"""What an answer says about a column: the first of the column's values that stands in it, as whole words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from nameplate.names import tokens

LONGEST: Final = 3
"""Words of a value; longer ones are descriptions, which no answer repeats."""
_PATH: Final = re.compile(r"[>/|]")
_HISSING: Final = ("ses", "xes", "zes", "ches", "shes")

Words = tuple[str, ...]


@lru_cache(maxsize=1 << 16)
def value_words(value: str) -> Words:
    """A value as it is compared: the last part of a path ("BAGS > Handbags"), normalised, without a plural's s."""
    return words_of(_PATH.split(value)[-1])


def words_of(text: str) -> Words:
    """The normalised words of a text, each without a plural's s."""
    return tuple(_singular(token.text) for token in tokens(text))


def is_askable(words: Words) -> bool:
    """Whether a value is a few words that an answer can say: no number, no sentence."""
    return 0 < len(words) <= LONGEST and any(char.isalpha() for word in words for char in word)


class ValueReader:
    """Reads answers by the values of one column.

    The first value decides ("black with a white logo" is black), and of values at one place the longest ("running shoe"
    before "shoe"). Synonyms are not known, and a denial is not understood: what is compared are two models by one rule.
    """

    def __init__(self, values: Iterable[Words]) -> None:
        self._values = sorted(set(values), key=lambda words: (-len(words), words))

    def first(self, answer: str) -> Words | None:
        """The value that an answer says first; none: none of them."""
        words = words_of(answer)
        return next((value for place in range(len(words)) if (value := self._at(words, place)) is not None), None)

    def _at(self, words: Sequence[str], place: int) -> Words | None:
        return next((value for value in self._values if tuple(words[place : place + len(value)]) == value), None)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith(_HISSING):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
