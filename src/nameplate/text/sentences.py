"""Where sentences end, although names, abbreviations and prices hold full stops too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_CLOSERS = r"[\"'”’»」』)\]*_]*"
# Possessive, and never begun inside a run of marks: a text of 10,000 dots is read once.
_MARK = re.compile(rf"(?<![.!?])[.!?]++{_CLOSERS}+(?=\s|$)|[。！？]++{_CLOSERS}+")
_WHOLE = re.compile(rf"[.!?。！？]{_CLOSERS}\s*$")
_WORD_BEFORE = re.compile(r"[^\s(\[\"'“‘«]*$")
_LONGEST_SHORT_WORD = 24
_ABBREVIATIONS = frozenset(
    [
        *[
            "mr",
            "mrs",
            "ms",
            "dr",
            "st",
            "ste",
            "prof",
            "jr",
            "sr",
            "no",
            "nr",
            "vol",
            "fig",
            "vs",
            "approx",
            "ca",
            "cf",
        ],
        *[
            "incl",
            "excl",
            "inc",
            "ltd",
            "co",
            "corp",
            "dept",
            "est",
            "max",
            "min",
            "avg",
            "e.g",
            "i.e",
            "eg",
            "ie",
            "al",
        ],
        *["ft", "oz", "lb", "lbs", "sq", "ref", "mt", "av", "ave", "u.s", "u.k", "a.k.a"],
    ]
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_NUMBER = re.compile(r"[\d.,:]*\d")
# After initials and abbreviations, a sentence can be told to begin only by a word that begins little else.
_STARTERS = frozenset(["The", "It", "Its", "This", "These", "They", "There", "Their", "Overall", "Both"])
_NEXT_WORD = re.compile(r"\s+[\"'“‘«(\[*_]*([^\s\"'”’»)\]*_.,;:!?]*)")


class Sentence(NamedTuple):
    """One sentence of a text, without the spaces around it."""

    start: int
    end: int


def is_whole(text: str) -> bool:
    """Whether a text ends in . ! ? 。 ！ ？, or in closing quotes or brackets right after one."""
    return _WHOLE.search(text) is not None


def sentence_spans(text: str, names: Sequence[str] = ()) -> list[Sentence]:
    """The sentences of `text`; the last one may lack its end.

    Args:
        names: no full stop inside one of these, or at its end, ends a sentence (unless "The", "It", ... follow).
    """
    spans: list[Sentence] = []
    start = 0
    for end in [*_ends(text, names), len(text)]:
        piece = text[start:end]
        if piece.strip():
            spans.append(Sentence(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
        start = end
    return spans


def trim_to_whole_sentence(text: str, names: Sequence[str]) -> str | None:
    """`text` up to the end of its last whole sentence; as it is when it ends in one; None when it has none.

    Args:
        names: names whose full stops end no sentence ("A.P.C.", "St. John").
    """
    if is_whole(text):
        return text
    ends = _ends(text, names)
    return text[: ends[-1]] if ends else None


def _ends(text: str, names: Sequence[str]) -> list[int]:
    in_names = _places_in_names(text, tuple(names))
    return [mark.end() for mark in _MARK.finditer(text) if _is_end(text, mark, in_names)]


def _is_end(text: str, mark: re.Match[str], in_names: frozenset[int]) -> bool:
    if mark.group()[0] in "。！？":
        return True
    following = _NEXT_WORD.match(text, mark.end())
    word_after = following.group(1) if following else ""
    if word_after[:1].islower():
        return False
    if mark.start() in in_names:
        return word_after in _STARTERS
    if not mark.group().startswith("."):
        return True
    before = _WORD_BEFORE.search(text, max(0, mark.start() - _LONGEST_SHORT_WORD), mark.start())
    return _stop_ends(before.group() if before else "", word_after, at_line_start=_at_line_start(text, before))


def _stop_ends(before: str, after: str, *, at_line_start: bool) -> bool:
    """Whether a full stop between two words ends a sentence."""
    if before.lower() in _ABBREVIATIONS or _INITIALS.fullmatch(before):
        return after in _STARTERS
    if _NUMBER.fullmatch(before.lstrip("$€£¥")):
        # "$ 12. 50" was torn apart, and "1. First" begins a list.
        return not (after[:1].isdigit() or at_line_start)
    return True


def _at_line_start(text: str, before: re.Match[str] | None) -> bool:
    place = before.start() if before else 0
    return not text[text.rfind("\n", 0, place) + 1 : place].strip()


def _places_in_names(text: str, names: tuple[str, ...]) -> frozenset[int]:
    pattern = _names_with_marks(names)
    if pattern is None:
        return frozenset()
    return frozenset(place for found in pattern.finditer(text) for place in range(*found.span()))


@lru_cache(maxsize=8)
def _names_with_marks(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """Only names that hold an end mark matter; they are matched in any case and with any spaces after the mark."""
    marked = sorted((name for name in names if re.search(r"[.!?]", name)), key=len, reverse=True)
    if not marked:
        return None
    spelled = "|".join(r"\s*".join(re.escape(part) for part in _parts(name)) for name in marked)
    return re.compile(rf"(?<!\w)(?:{spelled})(?!\w)", re.IGNORECASE)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])|\s+", name) if part]
