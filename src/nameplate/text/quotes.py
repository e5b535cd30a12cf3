"""Quotation marks that belong to nothing: opened and never closed, or closed and never opened.

What a mark does is read from its neighbours, not from its shape: „so“, ”so”, »so«, « so » and "so" are all in use.
Not covered: corner marks (「」). Between Chinese characters, where no space tells the sides apart, marks open and close
in turn.
"""

from __future__ import annotations

import re
from typing import Final

from nameplate.text.reading import Reading
from nameplate.text.words import count_words, has_cjk

_ASCII_MARKS: Final = "\"'`"
_OTHER_MARKS: Final = frozenset("“”„‟«»‹›‘’‚‛´")
# Runs of one mark are one mark: ""so"" is a table's way of quoting, ``so'' is TeX's.
_DOUBLE: Final = re.compile(r'(["“”„‟«»‹›])\1*')
_SINGLE: Final = re.compile(r"(['`‘’‚‛´])\1*")
_APOSTROPHES: Final = frozenset("'’")
_MEASURES: Final = frozenset("\"'”’´")
# Behind a lead or a space a mark may open, before an end or a space it may close.
_LEADS: Final = frozenset(":([{<|=+*_/-–—（【《「『").union(_ASCII_MARKS, _OTHER_MARKS)
_ENDS: Final = frozenset(".,;:!?…)]}>|=+*_/-–—）】》」』。，；：！？、").union(_ASCII_MARKS, _OTHER_MARKS)
# An apostrophe behind these need not close anything: the dogs' bowls, rockin' 'n' rollin', o' the house.
_SHORTENED: Final = re.compile(r"s$|\win$|\b(?:an|n|o|ol|th)$", re.IGNORECASE)
_LONGEST_SHORTENED: Final = 3
# An honest text has a slip or two, and a quotation over several paragraphs is opened anew with each.
_ALWAYS_ALLOWED: Final = 3
_ALLOWED_SHARE_OF_WORDS: Final = 0.1


def has_stray_quotes(reading: Reading) -> bool:
    """Whether over three quotation marks, and more than one to ten words, belong to nothing."""
    num_marks = len(reading.ascii_part) - len(reading.ascii_part.translate(None, _ASCII_MARKS.encode()))
    num_marks += sum(reading.beyond_ascii[mark] for mark in _OTHER_MARKS.intersection(reading.beyond_ascii))
    if num_marks <= _ALWAYS_ALLOWED:
        return False
    allowed = max(_ALWAYS_ALLOWED, count_words(reading.text) * _ALLOWED_SHARE_OF_WORDS)
    return len(stray_quotes(reading.text)) > allowed


def stray_quotes(text: str) -> list[int]:
    """The places of quotation marks that belong to nothing, in order; inch marks and apostrophes belong to a word."""
    return sorted(_unmatched(text, _DOUBLE) + _unmatched(text, _SINGLE))


def _unmatched(text: str, marks: re.Pattern[str]) -> list[int]:
    opened: list[re.Match[str]] = []
    opened_again: list[re.Match[str]] = []
    closed: list[re.Match[str]] = []
    for mark in marks.finditer(text):
        before, after = text[mark.start() - 1 : mark.start()] or " ", text[mark.end() : mark.end() + 1] or " "
        if marks is _SINGLE and _is_within_a_word(before, after):
            continue
        may_open, may_close = _is_edge(before, _LEADS), _is_edge(after, _ENDS)
        closes = may_close if may_close != may_open else bool(opened) or _is_measure(mark, before)
        if not closes:
            # One kind of mark does not quote itself.
            again = any(mark[1] == other[1] for other in opened)
            (opened_again if again else opened).append(mark)
        elif opened:
            opened.pop()
        elif not _is_measure(mark, before) and not _is_shortened(mark, text):
            closed.append(mark)
    # Before a word an apostrophe may stand for letters: 'tis, the '90s.
    opened = [mark for mark in opened + opened_again if mark[1] not in _APOSTROPHES]
    return [mark.start() for mark in opened + closed]


def _is_edge(char: str, marks: frozenset[str]) -> bool:
    return char.isspace() or char in marks


def _is_within_a_word(before: str, after: str) -> bool:
    return before.isalnum() and after.isalnum() and not has_cjk(before + after)


def _is_measure(mark: re.Match[str], before: str) -> bool:
    """Whether it stands for inches or feet."""
    return mark[1] in _MEASURES and before.isnumeric() and not before.isalpha()


def _is_shortened(mark: re.Match[str], text: str) -> bool:
    """Whether it stands for what its word leaves out."""
    start = max(0, mark.start() - _LONGEST_SHORTENED)
    return mark[1] in _APOSTROPHES and _SHORTENED.search(text, start, mark.start()) is not None
