"""Ordinary English words: a name that consists of them is a name only when it is written as one."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from nameplate.names.normalise import tokens


def is_common(name: str) -> bool:
    """Whether every word of `name` is an ordinary word or a number ("The Row", "Off-White", "No. 21")."""
    words = [token.text for token in tokens(name)]
    known = _common_words()
    return bool(words) and all(word in known or word.isdigit() for word in words)


@cache
def _common_words() -> frozenset[str]:
    text = files("nameplate.names").joinpath("common_words.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0] for line in text.splitlines())
    return frozenset(word for line in lines for word in line.split())
