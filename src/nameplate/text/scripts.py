"""Which scripts the letters of a text belong to."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_ASCII_LETTERS: Final = string.ascii_letters.encode()
_SCRIPTS: Final = {
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


def count_scripts(ascii_part: bytes, beyond_ascii: Mapping[str, int]) -> dict[str, int]:
    """Letters by script; scripts without a letter are left out.

    Args:
        ascii_part: the text without what is beyond ASCII.
        beyond_ascii: how often each other character occurs.
    """
    counts = Counter({"latin": len(ascii_part) - len(ascii_part.translate(None, _ASCII_LETTERS))})
    for char, count in beyond_ascii.items():
        if char.isalpha():
            counts[_script(char)] += count
    return {script: count for script, count in counts.items() if count}


@lru_cache(maxsize=8192)
def _script(char: str) -> str:
    name = unicodedata.name(char, "UNKNOWN")
    for prefix, script in _SCRIPTS.items():
        if name.startswith(prefix):
            return script
    # "MICRO SIGN", "OHM SIGN" and the like are letters by category, and Latin text by use.
    return "latin" if name.endswith(" SIGN") else name.split()[0].lower()
