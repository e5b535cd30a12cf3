"""Guards: what each model still knows that is not the name, how it writes, and whether it claims names at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nameplate.summary import CheckpointScores, GuardScores, Proportion, ScoreSummary

CLAIMED: Final = 5
"""Names shown that were claimed of images without one."""


@dataclass(frozen=True)
class GuardRow:
    """One model."""

    name: str
    is_chosen: bool
    answers: tuple[Proportion | None, ...]
    """Right answers by question, in the order of the heads; None: it was not asked this."""
    words: float
    distinct_pairs: float
    repeating: Proportion
    overclaim: Proportion | None
    claimed: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Guards:
    """The section."""

    columns: tuple[str, ...]
    questions: tuple[tuple[str, str], ...]
    """Column and what was asked about it."""
    rows: tuple[GuardRow, ...]
    has_overclaim: bool
    drawn: bool
    """Whether the images without a name were drawn for this."""
    sentences: tuple[str, ...]
    """What became worse in the chosen model; empty: nothing is shown to have."""
    others: tuple[str, ...]
    """Other checkpoints in which something became worse."""


def build_guards(score: ScoreSummary) -> Guards | None:
    """From the scores; none: nobody was asked."""
    asked = [(scores, scores.guards) for scores in score.checkpoints if scores.guards is not None]
    if not asked:
        return None
    questions = {each.column: each.question for _, guards in asked for each in guards.questions}
    rows = tuple(_row(scores, guards, list(questions), score.selected) for scores, guards in asked)
    return Guards(
        columns=tuple(questions),
        questions=tuple(questions.items()),
        rows=rows,
        has_overclaim=any(row.overclaim is not None for row in rows),
        drawn=any(guards.drawn for _, guards in asked if guards.overclaim is not None),
        sentences=tuple(line for scores, guards in asked if scores.name == score.selected for line in guards.sentences),
        others=tuple(scores.name for scores, guards in asked if scores.name != score.selected and guards.sentences),
    )


def _row(scores: CheckpointScores, guards: GuardScores, columns: Sequence[str], selected: str) -> GuardRow:
    right = {each.column: each.right for each in guards.questions}
    claimed = sorted(guards.overclaimed.items(), key=lambda pair: (-pair[1], pair[0]))
    return GuardRow(
        name=scores.name,
        is_chosen=scores.name == selected,
        answers=tuple(right.get(column) for column in columns),
        words=guards.words,
        distinct_pairs=guards.distinct_pairs,
        repeating=guards.repeating,
        overclaim=guards.overclaim,
        claimed=tuple(claimed[:CLAIMED]),
    )
