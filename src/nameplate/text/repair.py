"""What can be mended in a caption without inventing anything, and what exactly was done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ftfy import fix_encoding

from nameplate.records import Repair
from nameplate.text.garble import has_broken_characters, is_mojibake
from nameplate.text.reading import Reading
from nameplate.text.sentences import NO_NAMES, MarkedNames, is_whole, sentence_ends
from nameplate.text.words import comparable, has_cjk
from nameplate.text.wrappers import unwrap

CUT_OFF = frozenset({"length", "max_tokens"})
"""Finish reasons that say: the answer was longer than allowed."""

# Shorter sentences ("It is red.") may well be said twice.
_MIN_DOUBLED, _MIN_DOUBLED_CJK = 25, 12
# Left by web pages, alone or in pairs: a run of them is garbage. Joiners stay, emoji and Indic scripts need them.
_INVISIBLE = re.compile("(?<![\u00ad\u200b\u2060\ufeff])[\u00ad\u200b\u2060\ufeff]{1,2}(?![\u00ad\u200b\u2060\ufeff])")
_AROUND, _LONGEST = 24, 160
# A text without an end mark is a title or a phrase, unless it stops where nothing stops.
_STOPS_SHORT = re.compile(
    r"(?:[,;:，、；：(-]|\b(?:a|an|the|and|or|with|of|in|on|at|by|for|from|to|is|are|its|which|that|has))\s*$",
    re.IGNORECASE,
)


class Change(NamedTuple):
    """One repair: the place before and after it, with a little of the text around it."""

    repair: Repair
    before: str
    after: str


class Repaired(NamedTuple):
    """A text after its repairs. `has_sentence` is false when it was cut off before its first sentence ended."""

    text: str
    changes: tuple[Change, ...]
    has_sentence: bool

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was mended, in the order of `Repair`."""
        return tuple(change.repair for change in self.changes)


def open_up(text: str) -> Repaired:
    """Mend the encoding, take wrappers off, make spaces single: after this, a text can be judged."""
    encoded = fix_mojibake(text)
    bare = unwrap(encoded)
    spaced = _with_single_spaces(bare)
    changes = [
        *_change(Repair.FIXED_ENCODING, text, encoded),
        *_change(Repair.UNWRAPPED, encoded, bare),
        *_change(Repair.COLLAPSED_WHITESPACE, bare, spaced),
    ]
    return Repaired(spaced, tuple(changes), has_sentence=True)


def mend_sentences(text: str, *, finish_reason: str | None, names: MarkedNames = NO_NAMES) -> Repaired:
    """Trim a cut-off text to its last whole sentence, and drop sentences that were said before.

    A teacher's text that does not end in an end mark is cut off whatever the server says: "stop" is said of cut texts
    too. A caption from a table may be a title or a list, so it is trimmed only when it stops at a word like "with". A
    text without any whole sentence is left as it is; when the token limit stopped it, `has_sentence` is false.

    Args:
        finish_reason: as the server gave it; none for a caption that no server wrote.
        names: names whose full stops end no sentence.
    """
    ends = sentence_ends(text, names)
    cut = not is_whole(text) and (finish_reason is not None or _STOPS_SHORT.search(text) is not None)
    trimmed = text[: ends[-1]] if cut and ends else text
    single = _without_repeats(trimmed, ends)
    changes = [
        *_change(Repair.TRIMMED_TO_SENTENCE, text, trimmed),
        *_change(Repair.DROPPED_REPEATED_SENTENCE, trimmed, single),
    ]
    return Repaired(single, tuple(changes), has_sentence=bool(ends) or not cut or finish_reason not in CUT_OFF)


def fix_mojibake(text: str) -> str:
    """`text` in its right encoding if that makes it good; characters that were lost already cannot be brought back."""
    if not is_mojibake(text):
        return text
    fixed: str = fix_encoding(text)
    return text if is_mojibake(fixed) or has_broken_characters(Reading(fixed)) else fixed


def _with_single_spaces(text: str) -> str:
    return " ".join((text if text.isascii() else _INVISIBLE.sub("", text)).split())


def _without_repeats(text: str, ends: Sequence[int]) -> str:
    """`text` without the later copies of its longer sentences."""
    edges = [0, *(end for end in ends if end < len(text)), len(text)]
    sentences = [text[start:end] for start, end in pairwise(edges)]
    if text.isascii():  # a quick form of `comparable`: spaces are single already
        lowered = text.lower()
        keys = [lowered[start:end].strip() for start, end in pairwise(edges)]
    else:
        keys = list(map(comparable, sentences))
    if len(set(keys)) == len(keys):
        return text
    kept: list[str] = []
    seen: set[str] = set()
    for sentence, key in zip(sentences, keys, strict=True):
        if key not in seen or len(key) < (_MIN_DOUBLED_CJK if has_cjk(key) else _MIN_DOUBLED):
            kept.append(sentence)
        seen.add(key)
    return "".join(kept).strip()


def _change(repair: Repair, before: str, after: str) -> list[Change]:
    return [] if before == after else [change(repair, before, after)]


def change(repair: Repair, before: str, after: str) -> Change:
    """What differs between two texts, as a record of a repair."""
    same = _common(before, after)
    ending = _common(before[same:][::-1], after[same:][::-1])
    return Change(repair, _place(before, same, ending), _place(after, same, ending))


def _common(left: str, right: str) -> int:
    """Length of the longest common beginning."""
    differences = (place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other)
    return next(differences, min(len(left), len(right)))


def _place(text: str, same: int, ending: int) -> str:
    """What differs in a text, marked, with a little of what stands around it."""
    start, end = max(0, same - _AROUND), min(len(text), len(text) - ending + _AROUND)
    middle = text[same : len(text) - ending]
    if len(middle) > _LONGEST - 2 * _AROUND:
        half = (_LONGEST - 2 * _AROUND - 5) // 2
        middle = f"{middle[:half]} ... {middle[-half:]}"
    return text[start:same] + middle + text[len(text) - ending : end]
