"""A caption as the rules read it: taken apart once, for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from nameplate.text.scripts import count_scripts
from nameplate.text.words import comparable, has_cjk, pieces

READ_CHARACTERS = 2000
"""Loop rules read so many characters from the end: a loop is there, and a text without an end costs no more."""

NGRAM = 4


class Reading:
    """One caption.

    `text`: as it is judged. `prompt`: what the teacher was asked, "" when that is not known. `tail`: the last 2,000
    characters of the text in comparable form. `words`: of the tail; each Chinese, Japanese or Korean character is one.
    """

    def __init__(self, text: str, *, prompt: str = "") -> None:
        self.text = text
        self.prompt = prompt
        self._whole = comparable(text)
        self.tail = self._whole[-READ_CHARACTERS:]
        self.words = pieces(self.tail)

    @cached_property
    def is_ascii(self) -> bool:
        """Whether all characters are; most captions are, and many a rule is short then."""
        return self.text.isascii()

    @cached_property
    def has_cjk(self) -> bool:
        """Whether the tail holds Chinese, Japanese or Korean characters."""
        return has_cjk(self.tail)

    @cached_property
    def ascii_part(self) -> bytes:
        """The text without what is beyond ASCII."""
        return self.text.encode("ascii", "ignore")

    @cached_property
    def beyond_ascii(self) -> dict[str, int]:
        """How often each character beyond ASCII occurs in the text; in most captions hardly any does."""
        return {} if self.is_ascii else {char: self.text.count(char) for char in set(self.text) if char > "\x7f"}

    @cached_property
    def scripts(self) -> dict[str, int]:
        """Letters of the text by script."""
        return count_scripts(self.ascii_part, self.beyond_ascii)

    @cached_property
    def grams(self) -> list[tuple[str, ...]]:
        """All runs of four words, in order."""
        return grams_of(self.words)

    @cached_property
    def repeated_grams(self) -> int:
        """How many of the runs of four words stood before."""
        return num_repeated(self.grams)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The different words of the whole text, however long it is."""
        return frozenset(self.words if len(self._whole) <= READ_CHARACTERS else pieces(self._whole))


def grams_of(words: Sequence[str]) -> list[tuple[str, ...]]:
    """All runs of four words, in order."""
    return list(zip(words, words[1:], words[2:], words[3:], strict=False))


def num_repeated(grams: Sequence[tuple[str, ...]]) -> int:
    """How many of them stood before."""
    return len(grams) - len(set(grams))
