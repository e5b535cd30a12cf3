"""Whether a name that stands in a text is claimed: not denied, not only compared with, and not an ordinary word.

The rules look at the words around the name inside its clause. They are narrow on purpose: a negation counts only when
nothing but filler stands between it and the name, so "a bag without a strap, by Gucci" still claims Gucci. Not covered:
irony, denial in another sentence ("Gucci? Hardly.") or behind the name ("a Gucci logo is not there"), and denial with a
description in between. Everything looks only at the name's surroundings, so a long text costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nameplate.names.claim_words import (
    AFTER_COMPARISON,
    AFTER_HYPHEN,
    BRAND_SLOT,
    COMPARISON_FILLER,
    COMPARISONS,
    LIST_WORDS,
    NEGATION_FILLER,
    NEGATORS,
    SLOT_AFTER,
    SLOT_FILLER,
    SLOT_WORDS,
    SMALL_IN_TITLES,
)
from nameplate.names.normalise import Token
from nameplate.names.occurrences import Occurrence

_CLAUSE_END = re.compile(r"[.,;:!?()\n。！？，；：—]")
_LIST_GAP = re.compile(r"[\s,/、]*")

_SENTENCE_ENDS = ".!?:;…。！？："
_OPENERS = " \t\r\n\"'“”‘’«»([{*_#>-•·"
_FEW_WORDS = 4
_LOOK_BACK_WORDS = 16
_LOOK_BACK_CHARS = 64
_SURROUNDINGS_CHARS = 200
_NEIGHBOURS = 6


def is_denied(text: str, words: Sequence[Token], found: Occurrence, *, before: Occurrence | None) -> bool:
    """Whether the clause negates the name or only compares with it.

    Args:
        before: the name right before this one, when it is denied: "not Prada or Gucci" denies both.
    """
    return (
        _is_negated(text, words, found)
        or _is_compared(text, words, found)
        or (before is not None and _continues_list(text, words, before, found))
    )


def is_written_as_name(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    """Whether an ordinary word stands for the name here.

    It does as the whole text, beside a word such as "by" or "logo", in capitals, and capitalised where the place does
    not explain it: a sentence's start, a title and a text of capitals do. Small letters are one only after "brand".
    """
    if is_in_slot(text, words, found):
        return True
    if not _is_capitalised(words, found) or _is_shouted(text, words, found):
        return False
    if _is_in_capitals(text[found.start : found.end]):
        return True
    if _is_in_title(text, words, found):
        return False
    if not _starts_sentence(text, found.start) or _stands_before_uncased(text, found.end):
        return True
    return _is_capitalised_throughout(words, found)


def is_in_slot(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    """Whether only a name can stand here: alone, beside "by", "from", "logo" and the like, or with "'s".

    After "brand" even small letters are a name.
    """
    if found.first == 0 and found.last == len(words):
        return True
    if not _is_capitalised(words, found):
        return _has_slot_before(text, words, found, BRAND_SLOT)
    return _has_slot_before(text, words, found, SLOT_WORDS) or _has_slot_after(text, words, found)


def _is_negated(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    for place in _clause_before(text, words, found):
        word = words[place].text
        if word in NEGATORS or _is_contracted_not(text, words, place):
            return True
        if word not in NEGATION_FILLER:
            return False
    return False


def _is_contracted_not(text: str, words: Sequence[Token], place: int) -> bool:
    """The "t" of "isn't"."""
    if words[place].text != "t" or place == 0 or not words[place - 1].text.endswith("n"):
        return False
    return text[words[place - 1].end : words[place].start] in ("'", "’")


def _is_compared(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    if found.last < len(words):
        after, gap = words[found.last].text, text[found.end : words[found.last].start]
        if (after in AFTER_COMPARISON and not gap.strip(" -‐‑")) or (after in AFTER_HYPHEN and gap in ("-", "‐", "‑")):
            return True
    places = _clause_before(text, words, found)
    clause = [words[place].text for place in reversed(places)]
    while clause and not _ends_with_comparison(clause):
        if clause.pop() not in COMPARISON_FILLER:
            return False
    return bool(clause)


def _ends_with_comparison(clause: list[str]) -> bool:
    return any(tuple(clause[-len(phrase) :]) == phrase for phrase in COMPARISONS)


def _continues_list(text: str, words: Sequence[Token], before: Occurrence, found: Occurrence) -> bool:
    between = words[before.last : found.first]
    if not all(word.text in LIST_WORDS for word in between):
        return False
    edges = [before.end, *(edge for word in between for edge in (word.start, word.end)), found.start]
    gaps = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    return all(_LIST_GAP.fullmatch(gap) for gap in gaps)


def _clause_before(text: str, words: Sequence[Token], found: Occurrence) -> list[int]:
    """Places of the words before the name in its clause, nearest first."""
    places: list[int] = []
    for place in range(found.first - 1, max(found.first - 1 - _LOOK_BACK_WORDS, -1), -1):
        if _CLAUSE_END.search(text[words[place].end : words[place + 1].start]):
            break
        places.append(place)
    return places


def _is_capitalised(words: Sequence[Token], found: Occurrence) -> bool:
    raws = [word.raw for word in words[found.first : found.last]]
    title = " ".join(raws)
    if not any(char.isupper() for char in title):
        return False  # Nothing to tell a name by: small letters, or numbers only.
    return title.isupper() or all(not raw[:1].islower() for raw in raws) or _has_case_of(title, found.entry.display)


def _has_case_of(written: str, display: str) -> bool:
    shown = "".join(char for char in display if char.isalnum())
    return shown == "".join(char for char in written if char.isalnum())


def _starts_sentence(text: str, start: int) -> bool:
    lead = text[max(start - _LOOK_BACK_CHARS, 0) : start]
    bare = lead.rstrip(_OPENERS)
    return not bare or bare[-1] in _SENTENCE_ENDS or "\n" in lead[len(bare) :]


def _is_in_capitals(written: str) -> bool:
    return written.isupper() and sum(char.isalpha() for char in written) > 1


def _is_in_title(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    """Whether all words around are capitalised: "Red Velvet Dress"."""
    before = words[max(found.first - _NEIGHBOURS, 0) : found.first]
    around = (*before, *words[found.last : found.last + _NEIGHBOURS])
    telling = [word.raw for word in around if word.raw[0].isalpha() and word.text not in SMALL_IN_TITLES]
    return len(telling) > 1 and all(raw[0].isupper() for raw in telling)


def _is_capitalised_throughout(words: Sequence[Token], found: Occurrence) -> bool:
    """Whether a sentence that starts with the name goes on in small letters: "Golden Goose sneakers"."""
    own, after = words[found.first : found.last], words[found.last : found.last + 1]
    return len(own) > 1 and all(word.raw[0].isupper() for word in own) and all(word.raw[0].islower() for word in after)


def _stands_before_uncased(text: str, end: int) -> bool:
    """Chinese and Japanese have no capitals, so a capital among them is the name's own even at a sentence's start."""
    after = text[end : end + 1]
    return after.isalpha() and after.lower() == after.upper()


def _is_shouted(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    """Whether capitals say nothing, because all letters around are capitals."""
    around = text[max(found.start - _SURROUNDINGS_CHARS, 0) : found.end + _SURROUNDINGS_CHARS]
    if len(words) < _FEW_WORDS or not around.isupper():
        return False
    return not any(char.isalpha() and not char.isupper() for char in around)  # Chinese is not shouted.


def _has_slot_before(text: str, words: Sequence[Token], found: Occurrence, slots: frozenset[str]) -> bool:
    for place in range(found.first - 1, -1, -1):
        gap = text[words[place].end : words[place + 1].start]
        # "Brand: Coach" is one slot; any other end of a clause is not.
        if _CLAUSE_END.search(gap.replace(":", "").replace("：", "")):
            return False
        if words[place].text in slots:
            return True
        if words[place].text not in SLOT_FILLER:
            return False
    return False


def _has_slot_after(text: str, words: Sequence[Token], found: Occurrence) -> bool:
    if found.last == len(words):
        return False
    after, gap = words[found.last].text, text[found.end : words[found.last].start]
    return (after in SLOT_AFTER and not gap.strip()) or (after == "s" and gap in ("'", "’"))
