"""Words and characters, as the rules of this room count them."""

from __future__ import annotations

import re
import unicodedata

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_PIECE = re.compile(rf"[{CJK}]|[^\W_]+")
_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+(?:['’.-][^\W_{CJK}]+)*")
_HAS_CJK = re.compile(f"[{CJK}]")


def pieces(text: str) -> list[str]:
    """Runs of letters and digits; each Chinese, Japanese or Korean character by itself."""
    return _PIECE.findall(text)


def count_words(text: str) -> int:
    """Words as a person counts them: "Levi's" and "well-made" are one; a Chinese character counts as one."""
    return len(_WORD.findall(text))


def has_cjk(text: str) -> bool:
    """Whether a Chinese, Japanese or Korean character is in `text`."""
    return _HAS_CJK.search(text) is not None


def comparable(text: str) -> str:
    """NFKC, casefolded, with single spaces: what "the same sentence" means."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
