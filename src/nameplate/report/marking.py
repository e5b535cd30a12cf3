"""Answers as the gallery shows them: cut where names stand, with the rule that decided in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from nameplate.errors import InputError
from nameplate.names import Matcher, Registry
from nameplate.records import NameVerdict
from nameplate.report.formats import clip, words
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

TEXT_LIMIT: Final = 900
"""Characters of an answer that are shown."""
UNSCORED: Final = "not scored"
RULES: Final[dict[str, str]] = {
    NameVerdict.EXACT: "exact",
    NameVerdict.CASE_VARIANT: "in other capitals",
    NameVerdict.DIACRITIC_VARIANT: "with other accents",
    NameVerdict.ALIAS: "by another of its spellings",
    NameVerdict.AMBIGUOUS: "only where the words may mean something else",
    NameVerdict.OTHER_NAME: "another name",
    NameVerdict.ABSENT: "no known name",
}
"""What each verdict says of an answer."""
ENDINGS: Final[dict[str, str]] = {"stop": "", "length": "cut off"}
"""Ways in which an answer ended that leave something to judge."""


class Piece(NamedTuple):
    """A stretch of an answer; `is_name` where the true name stands, `is_other` where another one does."""

    text: str
    is_name: bool
    is_other: bool = False


@dataclass(frozen=True)
class Answer:
    """What one model said about one image."""

    pieces: tuple[Piece, ...]
    right: bool
    verdict: str
    """The rule that decided, in words."""
    note: str = ""
    """What else there is to know, such as that it was cut off."""
    scored: bool = True

    @property
    def reasons(self) -> str:
        """The rule and what else there is to know; of an answer that was not scored, why."""
        return "; ".join(filter(None, (self.verdict if self.scored else "", self.note)))


@dataclass(frozen=True)
class Said:
    """An answer and the question it is to."""

    question: str
    answer: Answer


@dataclass(frozen=True)
class Column:
    """What one model said about one image, the question that decides first."""

    place: int
    """Of the model, in the order in which they were trained."""
    model: str
    role: str
    """`before`, `chosen`, or "" of all others."""
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Marker:
    """Marks names by the matcher that judged, or, where the run's names are gone, by their spelling."""

    matcher: Matcher | None
    _known: dict[tuple[str, str, str], tuple[tuple[Piece, ...], str]] = field(default_factory=dict)

    def answer(self, row: dict[str, Any]) -> Answer:
        """A row of the predictions, marked. Equal answers are judged once."""
        text, name, right = str(row["answer"] or ""), str(row["name"]), bool(row["right"])
        finish, verdict = str(row.get("finish") or "stop"), str(row["verdict"])
        if not is_scored(row):
            return Answer(_whole(clip(text, TEXT_LIMIT)), False, UNSCORED, words(finish), scored=False)
        key = (text, name, verdict)
        if key not in self._known:
            self._known[key] = self._mark(clip(text, TEXT_LIMIT), name, verdict, right)
        pieces, others = self._known[key]
        rule = RULES.get(verdict, words(verdict))
        return Answer(pieces, right, f"{rule}: {others}" if others and not right else rule, ENDINGS[finish])

    def _mark(self, text: str, name: str, verdict: str, right: bool) -> tuple[tuple[Piece, ...], str]:
        if verdict == NameVerdict.ABSENT:
            return _whole(text), ""
        entry = self.matcher.registry.lookup(name) if self.matcher is not None else None
        if self.matcher is None or entry is None:
            return mark_name(text, name), ""
        if right:
            return cut(text, [(start, end, True) for start, end in self.matcher.places(text, name)]), ""
        found = [each for each in self.matcher.mentions(text) if each.is_claim or each.entry is entry]
        others = dict.fromkeys(each.entry.display for each in found if each.entry is not entry)
        return cut(text, [(each.start, each.end, each.entry is entry) for each in found]), ", ".join(others)


def is_scored(row: dict[str, Any]) -> bool:
    """Whether a row of the predictions has an answer to judge; rows of older versions all have."""
    return str(row.get("finish") or "stop") in ENDINGS


def read_matcher(score: ScoreSummary, run: RunDirectory) -> Matcher | None:
    """The matcher that judged a run's answers; None where its names are gone, broken, or were changed since."""
    try:
        matcher = Matcher(Registry.from_json(run.registry_path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, InputError):
        # The page of a run whose names are gone has all that does not need them.
        return None
    return matcher if score.matcher in ("", matcher.fingerprint) else None


def cut(text: str, places: list[tuple[int, int, bool]]) -> tuple[Piece, ...]:
    """A text cut at places (start, end, whether it is the true name) that come in order; overlaps are left out."""
    pieces: list[Piece] = []
    done = 0
    for start, end, own in places:
        if start < done or end <= start:
            continue
        pieces += (Piece(text[done:start], False), Piece(text[start:end], own, not own))
        done = end
    return tuple(piece for piece in (*pieces, Piece(text[done:], False)) if piece.text)


def mark_name(text: str, name: str) -> tuple[Piece, ...]:
    """Cut a text where the true name stands as whole words, in any case. For the eye only: the matcher judges."""
    pattern = re.compile(rf"(?<!\w)({re.escape(name)})(?!\w)", re.IGNORECASE) if name else None
    parts = pattern.split(text) if pattern is not None else [text]
    return tuple(Piece(part, index % 2 == 1) for index, part in enumerate(parts) if part)


def _whole(text: str) -> tuple[Piece, ...]:
    return (Piece(text, False),) if text else ()
