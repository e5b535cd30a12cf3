"""The few things that a known data set's captions need before they are text. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from enum import StrEnum


class TextRule(StrEnum):
    """What is done to every text of a data set, in the order in which its preset names the rules."""

    STRIP_TAGS = "strip_tags"
    UNDOUBLE_QUOTES = "undouble_quotes"
    DROP_NONE = "drop_none"


# A tag starts with a letter: "under 3 < 5 > 4" holds none.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
# "... and the flavor text: "None"", as PokemonCards writes a fact that it does not know; only None as a whole value.
_LABELLED_NONE = re.compile(
    r""",?\s+(?:and\s+|with\s+)?(?:the\s+)?[\w-]+(?:\s[\w-]+)?:\s*(?:"None"|None)(?=[.,;\s]|$)"""
)


def apply_rules(text: str, rules: Sequence[TextRule]) -> str:
    """The text after its data set's rules; without rules, the text as it is."""
    for rule in rules:
        text = _RULES[rule](text)
    return text.strip() if rules else text


def _strip_tags(text: str) -> str:
    return html.unescape(_TAG.sub("", text))


def _undouble_quotes(text: str) -> str:
    return text.replace('""', '"')


def _drop_none(text: str) -> str:
    return _LABELLED_NONE.sub("", text)


_RULES: dict[TextRule, Callable[[str], str]] = {
    TextRule.STRIP_TAGS: _strip_tags,
    TextRule.UNDOUBLE_QUOTES: _undouble_quotes,
    TextRule.DROP_NONE: _drop_none,
}
