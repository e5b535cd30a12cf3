"""Words and characters, as the rules of this room count them."""

from __future__ import annotations

import re
import unicodedata

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_PIECE = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+(?:['’.-][^\W_{CJK}]+)*")
_HAS_CJK = re.compile(f"[{CJK}]")
_ASCII_GAPS = {code: " " for code in range(128) if not chr(code).isalnum()}


def pieces(text: str) -> list[str]:
    """Runs of letters and digits; each Chinese, Japanese or Korean character by itself."""
    if text.isascii():
        return text.translate(_ASCII_GAPS).split()
    return _PIECE.findall(text)


def count_words(text: str) -> int:
    """Words as a person counts them: "Levi's" and "well-made" are one; a Chinese character counts as one."""
    return len(_WORD.findall(text))


def has_cjk(text: str) -> bool:
    """Whether a Chinese, Japanese or Korean character is in `text`."""
    return not text.isascii() and _HAS_CJK.search(text) is not None


def comparable(text: str) -> str:
    """NFKC, casefolded, with single spaces: what "the same sentence" means."""
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split())
