"""Which of a table's spellings of one name is shown, and written back into captions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_SIGNS = re.compile("[™℠®©℗]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]{1,2}(?![^\W\d_]))?")
# Up to so many letters, capitals are as likely the name itself (NBA, JBL, Y-3) as a table's shouting.
_SHORT_LETTERS = 4


def clean_spelling(spelling: str) -> str:
    """A spelling without trade-mark signs, odd widths and doubled spaces."""
    return " ".join(unicodedata.normalize("NFKC", _SIGNS.sub("", spelling)).split())


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
