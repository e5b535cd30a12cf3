"""One way to compare names: letter and digit words, without case, accents, signs or punctuation.

Steps: compatibility decomposition, casefold, accents dropped from Latin, Greek and Cyrillic letters only (elsewhere a
mark is another letter: Japanese ka and ga), an explicit map for letters that do not decompose, and "&" and "+" read as
"and". Everything else that is no letter or digit separates words, and so does a change between scripts that write
without spaces and others; each Chinese character is a word of its own, for nothing else says where one ends.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

NORMALISER_VERSION = 2
"""Goes into every fingerprint that depends on names; rises with any change of what two texts compare equal."""

_LETTERS_THAT_DO_NOT_DECOMPOSE = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t"}
)
_FOLDED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
# Their decompositions are letters ("TM", "SM"), so they have to go before it.
_TRADE_MARKS = {"™", "℠", "®", "©", "℗"}
# Letters by Unicode's book, apostrophes by their use.
_APOSTROPHES = {"ʼ", "ʹ", "ʻ", "ʽ", "ˈ", "ˊ", "ˋ"}
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+|[&+]")
_CHUNK = re.compile(r"\S+")
_HAN = "CJK"
# Written without spaces, or with endings of the language right behind a foreign name.
_SCRIPTS_WITHOUT_SPACES = (_HAN, "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")


class Token(NamedTuple):
    """One word: how it compares, and where it stands in the text that was given."""

    text: str
    start: int
    end: int
    raw: str


class _Kind(Enum):
    WORD = 1
    MARK = 2
    AND = 3
    SKIP = 4
    GAP = 5


def tokens(text: str) -> list[Token]:
    """The letter and digit words of `text`, normalised; `start` and `end` index `text` as given."""
    if text.isascii():
        return _ascii_tokens(text, 0)
    found: list[Token] = []
    for chunk in _CHUNK.finditer(text):
        piece, start = chunk.group(), chunk.start()
        found += _ascii_tokens(piece, start) if piece.isascii() else _tokens_by_character(piece, start)
    return found


def normalise(text: str) -> str:
    """`text` as its normalised words, one space between them. Doing it twice changes nothing."""
    return " ".join(token.text for token in tokens(text))


def name_key(text: str) -> str:
    """What makes two spellings one name: the normalised words without the spaces ("A.P.C." and "APC" give "apc")."""
    return "".join(token.text for token in tokens(text))


def fold_accents(text: str) -> str:
    """Casefolded `text` without the accents of Latin, Greek and Cyrillic letters; all other characters stay."""
    kept: list[str] = []
    for char in unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS_THAT_DO_NOT_DECOMPOSE):
        if not (unicodedata.category(char).startswith("M") and kept and _drops_marks(kept[-1])):
            kept.append(char)
    return unicodedata.normalize("NFKC", "".join(kept))


def _ascii_tokens(text: str, offset: int) -> list[Token]:
    return [_ascii_token(match, offset) for match in _ASCII_WORD.finditer(text)]


def _ascii_token(match: re.Match[str], offset: int) -> Token:
    raw = match.group()
    return Token("and" if raw in "&+" else raw.lower(), offset + match.start(), offset + match.end(), raw)


def _tokens_by_character(text: str, offset: int) -> list[Token]:
    reader = _Reader(text, offset)
    for place, char in enumerate(text):
        for kind, piece in _pieces(char):
            reader.read(kind, piece, place)
    return reader.finish()


class _Reader:
    """Collects pieces into words; `offset` is where the text starts in a longer one."""

    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.offset = offset
        self.found: list[Token] = []
        self.word = ""
        self.script = ""
        self.start = self.end = 0

    def read(self, kind: _Kind, piece: str, place: int) -> None:
        if kind is _Kind.WORD:
            script = _script(piece)
            if script != self.script or script == _HAN:
                self._close()
            if not self.word:
                self.start, self.script = place, script
            self.word += piece
            self.end = place + 1
        elif kind is _Kind.MARK:
            self._read_mark(piece, place)
        elif kind is not _Kind.SKIP:
            self._close()
            if kind is _Kind.AND:
                start = self.offset + place
                self.found.append(Token("and", start, start + 1, self.text[place]))

    def _read_mark(self, piece: str, place: int) -> None:
        if self.word:
            self.word += "" if _drops_marks(self.word[-1]) else piece
            self.end = place + 1

    def _close(self) -> None:
        if self.word:
            # Composed last: Hangul and kana come out in one form whatever form went in.
            word = unicodedata.normalize("NFC", self.word)
            raw = self.text[self.start : self.end]
            self.found.append(Token(word, self.offset + self.start, self.offset + self.end, raw))
            self.word = ""

    def finish(self) -> list[Token]:
        self._close()
        return self.found


@lru_cache(maxsize=4096)
def _pieces(char: str) -> tuple[tuple[_Kind, str], ...]:
    if char in _TRADE_MARKS:
        return ((_Kind.GAP, ""),)
    # One character can hold several words (a vulgar fraction), so each of its parts is judged by itself.
    return tuple((_kind(part), folded) for part, folded in _fold(char))


def _fold(char: str) -> list[tuple[str, str]]:
    folded: list[tuple[str, str]] = []
    for part in unicodedata.normalize("NFKD", char):
        if _kind(part) is _Kind.WORD:
            lower = unicodedata.normalize("NFKD", part.casefold()).translate(_LETTERS_THAT_DO_NOT_DECOMPOSE)
            folded += [(piece, piece) for piece in lower]
        else:
            folded.append((part, part))
    return folded


def _kind(part: str) -> _Kind:
    category = unicodedata.category(part)
    if part in "&+":
        return _Kind.AND
    if category == "Cf" or "\ufe00" <= part <= "\ufe0f":
        return _Kind.SKIP
    if category.startswith("M"):
        return _Kind.MARK
    if category[0] in "LN" and part not in _APOSTROPHES:
        return _Kind.WORD
    return _Kind.GAP


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """The script of a letter when it is one without spaces; "" for all others, and for digits."""
    name = unicodedata.name(letter, "")
    return next((script for script in _SCRIPTS_WITHOUT_SPACES if name.startswith(script)), "")


@lru_cache(maxsize=4096)
def _drops_marks(base: str) -> bool:
    """Whether an accent on this letter is only decoration for our purpose; a digit's always is."""
    if unicodedata.category(base).startswith("N"):
        return True
    return unicodedata.name(base, "").startswith(_FOLDED_SCRIPTS)
