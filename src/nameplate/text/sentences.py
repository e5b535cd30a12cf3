"""Where sentences end, although names, abbreviations and prices hold full stops too."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

_CLOSERS = r"[\"'”’»」』)\]*_]*"
# Possessive, and never begun inside a run of marks: a text of 10,000 dots is read once.
_MARK = re.compile(rf"[.!?](?<![.!?][.!?])[.!?]*+{_CLOSERS}+(?=\s|$)|[。！？]++{_CLOSERS}+")
_END_MARKS = (".", "!", "?", "。", "！", "？")
_WORD_BEFORE = re.compile(r"[^\s(\[\"'“‘«]*$")
_LONGEST_SHORT_WORD = 24
_SHORT_WORDS = (
    "mr mrs ms dr st ste prof jr sr no nr vol fig vs approx ca cf incl excl inc ltd co corp dept est max min avg "
    "e.g i.e eg ie al ft oz lb lbs sq ref mt av ave u.s u.k a.k.a"
)
_ABBREVIATIONS = frozenset(_SHORT_WORDS.split())
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_NUMBER = re.compile(r"[\d.,:]*\d")
# After initials and abbreviations, a sentence can be told to begin only by a word that begins little else.
_STARTERS = frozenset(["The", "It", "Its", "This", "These", "They", "There", "Their", "Overall", "Both"])
_MARKED_WORD = re.compile(r"\S*?[.!?]")
_NEXT_WORD = re.compile(r"\s+[\"'“‘«(\[*_]*([^\s\"'”’»)\]*_.,;:!?]*)")


class MarkedNames:
    """Names with a full stop, exclamation or question mark in them, whose marks end no sentence ("A.P.C.", "Yahoo!").

    They are found in any case and with any spaces after the mark. Compiled once, for the names of a whole run.
    """

    def __init__(self, names: Iterable[str]) -> None:
        by_beginning: dict[str, set[str]] = defaultdict(set)
        for name in names:
            if _MARKED_WORD.search(name):
                by_beginning[_beginning(name)].add(name)
        self._patterns = {beginning: _pattern(found) for beginning, found in by_beginning.items()}

    def places(self, text: str) -> frozenset[int]:
        """All places inside these names."""
        if not self._patterns:
            return frozenset()
        folded = text.casefold()
        return frozenset(
            place
            for beginning, pattern in self._patterns.items()
            if beginning in folded
            for found in pattern.finditer(text)
            for place in range(*found.span())
        )


def _beginning(name: str) -> str:
    """The first word of a name that ends in a mark ("mrs." of "Mr & Mrs. Italy"): looked for before the pattern."""
    found = _MARKED_WORD.search(name)
    assert found is not None, name
    return found.group().casefold()


def _pattern(names: Collection[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    spelled = "|".join(r"\s*".join(re.escape(part) for part in _parts(name)) for name in longest_first)
    return re.compile(rf"(?<!\w)(?:{spelled})(?!\w)", re.IGNORECASE)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])|\s+", name) if part]


NO_NAMES = MarkedNames(())


def is_whole(text: str) -> bool:
    """Whether a text ends in . ! ? 。 ！ ？, or in closing quotes or brackets right after one."""
    return text.rstrip().rstrip("\"'”’»」』)]*_").endswith(_END_MARKS)


def sentence_ends(text: str, names: MarkedNames = NO_NAMES) -> list[int]:
    """The places right after the marks that end a sentence, in order.

    Args:
        names: no full stop inside one of these, or at its end, ends a sentence (unless "The", "It", ... follow).
    """
    in_names = names.places(text)
    marks = _MARK.finditer(text)
    return [mark.end() for mark in marks if _is_plain_end(text, mark, in_names) or _is_end(text, mark, in_names)]


def _is_plain_end(text: str, mark: re.Match[str], in_names: frozenset[int]) -> bool:
    """What most ends are, told quickly: an ordinary word, the mark, and the text's end or a capital."""
    start, end = mark.span()
    word = text[max(0, start - _LONGEST_SHORT_WORD) : start].rpartition(" ")[2]
    after = text[end : end + 2]
    is_word = len(word) > 1 and word.isalpha() and word.islower() and word not in _ABBREVIATIONS
    return is_word and (not after or (after[0] == " " and after[1:].isupper())) and start not in in_names


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
    return _stop_ends(before.group() if before else "", word_after, at_start=before is None or before.start() == 0)


def _stop_ends(before: str, after: str, *, at_start: bool) -> bool:
    """Whether a full stop between two words ends a sentence."""
    if before.lower() in _ABBREVIATIONS or _INITIALS.fullmatch(before):
        return after in _STARTERS
    if _NUMBER.fullmatch(before.lstrip("$€£¥")):
        # "$ 12. 50" was torn apart, and "1. First" begins a list.
        return not (after[:1].isdigit() or at_start)
    return True
