"""Which script a text is written in. Telling French from English is not covered: brand lists fool such tests."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal

from nameplate.records import CleanReason

_SCRIPTS = {
    "LATIN": "latin",
    "FULLWIDTH LATIN": "latin",
    "FEMININE": "latin",
    "MASCULINE": "latin",
    "CJK": "han",
    "IDEOGRAPHIC": "han",
    "HIRAGANA": "japanese",
    "KATAKANA": "japanese",
    "HALFWIDTH KATAKANA": "japanese",
    "HANGUL": "korean",
}
_MAX_FOREIGN_IN_ENGLISH = 0.05
# So many foreign letters are a name rather than another language, however short the text.
_FOREIGN_NAME = 6
_MIN_HAN_IN_CHINESE = 0.30


def script_shares(text: str) -> dict[str, float]:
    """Share of the letters by script, most frequent first; empty when there is no letter."""
    counts = Counter(_script(char) for char in text if char.isalpha())
    total = counts.total()
    return {script: count / total for script, count in counts.most_common()}


def wrong_script(text: str, *, language: Literal["en", "zh"]) -> CleanReason | None:
    """English with more than 5 % of other letters, or Chinese with less than 30 % of Chinese characters.

    A name of up to six letters may keep its own script ("Kenzo 高田賢三") in an English text of any length.
    """
    shares = script_shares(text)
    if not shares:
        return None
    if language == "en":
        foreign = 1 - shares.get("latin", 0.0)
        num_foreign = foreign * sum(map(str.isalpha, text))
        wrong = foreign > 0.5 or (foreign > _MAX_FOREIGN_IN_ENGLISH and round(num_foreign) > _FOREIGN_NAME)
    else:
        wrong = shares.get("han", 0.0) < _MIN_HAN_IN_CHINESE
    return CleanReason.WRONG_SCRIPT if wrong else None


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "UNKNOWN")
    for prefix, script in _SCRIPTS.items():
        if name.startswith(prefix):
            return script
    # "MICRO SIGN", "OHM SIGN" and the like are letters by category, and Latin text by use.
    return "latin" if name.endswith(" SIGN") else name.split()[0].lower()
