"""The scorer's own audit: answers that were hard to judge, and how much the way of counting matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nameplate.names import Token, normalise, tokens
from nameplate.names.normalise import name_key
from nameplate.records import NameVerdict
from nameplate.report.answered import Answered, Judged
from nameplate.report.excerpts import excerpt
from nameplate.report.formats import percent, points
from nameplate.report.marking import Piece
from nameplate.statistics import Share, wilson
from nameplate.summary import ClosedScores

EXAMPLES: Final = 4
LONGEST: Final = 300
"""Characters shown of an answer."""
SHORTEST_NAME: Final = 4
"""Letters that a name must have for another text to be nearly it: `Gap` and `Map` are two words."""
LETTERS_PER_EDIT: Final = 5
"""One letter may differ of so many, at most three."""


class Doubt(StrEnum):
    """Why an answer deserves a second look."""

    AMBIGUOUS = "ambiguous"
    NEAR_MISS = "near_miss"
    EMPTY = "empty"
    CUT_OFF = "cut_off"
    SEVERAL = "several"


WORDS: Final[Mapping[Doubt, str]] = {
    Doubt.AMBIGUOUS: "ambiguous: the name stands there, but perhaps as an ordinary word; counted as wrong",
    Doubt.NEAR_MISS: "near miss: a word within a letter or so of the right name; counted as wrong",
    Doubt.SEVERAL: "the right name, and another one beside it; counted as wrong",
    Doubt.EMPTY: "no letter or digit at all; counted as wrong",
    Doubt.CUT_OFF: "cut off by the token limit, right or wrong",
}


@dataclass(frozen=True)
class Example:
    """One doubtful answer with what raised the doubt marked."""

    row_id: str
    name: str
    pieces: tuple[Piece, ...]
    right: bool


@dataclass(frozen=True)
class DoubtRow:
    """One kind of doubt, by both models."""

    doubt: Doubt
    label: str
    before: Share
    after: Share
    examples: tuple[Example, ...]
    """Of the chosen model."""


@dataclass(frozen=True)
class ScorerAudit:
    """The section."""

    rows: tuple[DoubtRow, ...]
    unknown: tuple[Doubt, ...]
    """Doubts that the predictions of an older version say nothing about."""
    swing: str
    """What the chosen model's accuracy would be if every doubt had been decided for it."""
    closed_gap: str
    """Whether it knows what it does not say; "" where it was not asked to choose."""


def build_scorer_audit(answered: Answered, closed: ClosedScores | None = None) -> ScorerAudit | None:
    """From both models' answers, and how the chosen one picks among all names; none: there are no answers."""
    rows = answered.rows
    if not rows:
        return None
    found = {doubt: _doubt_row(doubt, answered) for doubt in Doubt}
    known = tuple(row for row in found.values() if row is not None)
    return ScorerAudit(
        rows=known,
        unknown=tuple(doubt for doubt, row in found.items() if row is None),
        swing=_swing(answered),
        closed_gap=closed.sentence if closed is not None else "",
    )


def near_miss(answer: str, name: str) -> tuple[int, int] | None:
    """Where `answer` says nearly `name`: words that, written as one, differ in a letter or so; none: nowhere.

    Such a place never counts as right; it shows what spelling, or what rule, cost how much.
    """
    from rapidfuzz.distance import OSA

    wanted, words = name_key(name), tokens(answer)
    if len(wanted) < SHORTEST_NAME:
        return None
    most = min(3, max(1, len(wanted) // LETTERS_PER_EDIT))
    places = [
        (distance, first.start, last.end)
        for text, first, last in _runs(words, longest=len(tokens(name)) + 1)
        # The first letter is what tells names apart that rhyme; OSA: two swapped letters are one slip.
        if text[:1] == wanted[:1] and 0 < (distance := OSA.distance(text, wanted, score_cutoff=most)) <= most
    ]
    return min(places)[1:] if places else None


def _runs(words: list[Token], *, longest: int) -> Iterator[tuple[str, Token, Token]]:
    for start in range(len(words)):
        for end in range(start + 1, min(len(words), start + longest) + 1):
            yield "".join(word.text for word in words[start:end]), words[start], words[end - 1]


def _doubt_row(doubt: Doubt, answered: Answered) -> DoubtRow | None:
    judge = _TESTS[doubt]
    was = [judge(answered.before[row], answered) for row in answered.rows]
    now = [judge(answered.after[row], answered) for row in answered.rows]
    if None in was or None in now:
        return None
    doubtful = [row for row, is_doubtful in zip(answered.rows, now, strict=True) if is_doubtful]
    return DoubtRow(
        doubt=doubt,
        label=WORDS[doubt],
        before=wilson(sum(map(bool, was)), len(was)),
        after=wilson(len(doubtful), len(now)),
        examples=tuple(_example(doubt, answered.after[row], answered) for row in doubtful[:EXAMPLES]),
    )


def _is_near_miss(judged: Judged, answered: Answered) -> bool:
    if judged.right or judged.verdict == NameVerdict.AMBIGUOUS or judged.mentioned:
        return False
    place = near_miss(judged.answer, judged.name)
    if place is None:
        return False
    # What is nearly this name may be exactly another one.
    registry = answered.matcher.registry if answered.matcher is not None else None
    return registry is None or registry.lookup(judged.answer[slice(*place)]) is None


def _is_cut_off(judged: Judged, answered: Answered) -> bool | None:
    return judged.finish == "length" if judged.finish is not None else None


def _has_several(judged: Judged, answered: Answered) -> bool | None:
    return bool(judged.mentioned) and not judged.right if judged.mentioned is not None else None


_TESTS: Final[Mapping[Doubt, Callable[[Judged, Answered], bool | None]]] = {
    Doubt.AMBIGUOUS: lambda judged, _: judged.verdict == NameVerdict.AMBIGUOUS,
    Doubt.NEAR_MISS: _is_near_miss,
    Doubt.EMPTY: lambda judged, _: not normalise(judged.answer),
    Doubt.CUT_OFF: _is_cut_off,
    Doubt.SEVERAL: _has_several,
}


def _example(doubt: Doubt, judged: Judged, answered: Answered) -> Example:
    place: tuple[int, int] | None = None
    if doubt is Doubt.NEAR_MISS:
        place = near_miss(judged.answer, judged.name)
    elif answered.matcher is not None and answered.matcher.registry.lookup(judged.name) is not None:
        found = answered.matcher.judge(judged.answer, judged.name)
        place = (found.start, found.end) if found.start is not None and found.end is not None else None
    return Example(judged.row_id, judged.name, excerpt(judged.answer, place, LONGEST), judged.right)


def _swing(answered: Answered) -> str:
    rows = answered.rows
    right = sum(answered.after[row].right for row in rows)
    wrong = [answered.after[row] for row in rows if not answered.after[row].right]
    doubtful = sum(
        each.verdict == NameVerdict.AMBIGUOUS or bool(each.mentioned) or _is_near_miss(each, answered) for each in wrong
    )
    if not doubtful:
        return "No wrong answer of the chosen model is a matter of spelling or of rules."
    return (
        f"If every ambiguous answer, near miss and answer with several names counted as right, the chosen model would "
        f"have {percent((right + doubtful) / len(rows))} instead of {percent(right / len(rows))}: the rules of the "
        f"scorer decide about {points(doubtful / len(rows))} at most."
    )
