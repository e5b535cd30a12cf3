"""Which of a table's spellings of one name is shown, and written back into captions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from nameplate.names.plain import unescape

_SIGNS = re.compile("[™℠®©℗]")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_NEEDS_MENDING = re.compile(r"[&<\x00-\x1f\x7f]")
_JOINERS = "\u200c\u200d"  # Persian names and emoji need them.
_MAX_ESCAPES = 5
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]{1,2}(?![^\W\d_]))?")
# Up to so many letters, capitals are as likely the name itself (NBA, JBL, Y-3) as a table's shouting.
_SHORT_LETTERS = 4


def clean_spelling(spelling: str) -> str:
    """A spelling as a person sees it: no HTML, trade-mark signs, odd widths, doubled spaces or invisible characters."""
    if not spelling.isascii() or _NEEDS_MENDING.search(spelling):
        spelling = "".join(map(_visible, _TAG.sub(" ", _unescaped(spelling))))
    return " ".join(spelling.split())


def choose_display(spellings: Mapping[str, int]) -> str:
    """The most frequent spelling in mixed case; if there is none, the most frequent one, title-cased when it shouts.

    Args:
        spellings: cleaned spellings of one name with their counts; ties go to the first in code-point order.
    """
    mixed = {spelling: count for spelling, count in spellings.items() if _is_mixed(spelling)}
    pool = mixed or spellings
    best = min(pool, key=lambda spelling: (-pool[spelling], spelling))
    if best.isupper() and sum(char.isalpha() for char in best) > _SHORT_LETTERS:
        return _WORD.sub(lambda match: match.group().capitalize(), best)
    return best


def _is_mixed(spelling: str) -> bool:
    return not spelling.isupper() and not spelling.islower()


def _unescaped(spelling: str) -> str:
    """Tables that went through several programs are escaped as often: "&amp;amp;"."""
    for _ in range(_MAX_ESCAPES):
        plain = unescape(unicodedata.normalize("NFKC", _SIGNS.sub("", spelling)))
        if plain == spelling:
            break
        spelling = plain
    return spelling


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"  # Half of a pair: no file can hold it.
    if category == "Cf" and char not in _JOINERS:
        return ""
    return " " if category == "Cc" else char
