"""Ordinary English words: a name that consists of them is a name only when it is written as one."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from nameplate.names.normalise import tokens


def is_common(name: str) -> bool:
    """Whether every word of `name` is an ordinary word, its plural, or a number ("The Row", "Rails", "No. 21")."""
    words = [token.text for token in tokens(name)]
    return bool(words) and all(word.isdigit() or _is_ordinary(word) for word in words)


def _is_ordinary(word: str) -> bool:
    known = _common_words()
    singular = word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")
    return word in known or singular in known


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


@cache
def _common_words() -> frozenset[str]:
    text = files("nameplate.names").joinpath("common_words.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0] for line in text.splitlines())
    return frozenset(word for line in lines for word in line.split())
