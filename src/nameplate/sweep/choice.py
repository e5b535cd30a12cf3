"""Choosing a member on validation, and saying who is as good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nameplate.statistics import one_standard_error
from nameplate.sweep.finished import Finished, are_comparable
from nameplate.sweep.results import MemberRow


class SweepChoice(NamedTuple):
    """The member that was chosen; none: none is done."""

    member: str | None
    sentence: str


def choose(finished: Mapping[str, Sequence[Finished]], rows: Sequence[MemberRow], reference: str) -> SweepChoice:
    """The best on validation among those that were asked about the same images, and the simplest that is as good.

    Args:
        finished: trials with a result, by member.
        rows: the leaderboard, best first.
        reference: whose images count, if it is done.
    """
    ranked = [row for row in rows if finished[row.member]]
    if not ranked:
        return SweepChoice(None, "No member has a result yet.")
    yardstick = (finished[reference] or finished[ranked[0].member])[0]
    alike = [row for row in ranked if are_comparable(yardstick, finished[row.member][0])]
    best = alike[0]
    assert best.validation is not None
    sentence = (
        f"{best.member} is best on validation: {best.validation.count:,} of {best.validation.n:,} answers are right "
        f"({best.validation.value:.1%})."
    )
    return SweepChoice(best.member, " ".join((sentence, _others(best, alike, finished))))


def _others(best: MemberRow, alike: Sequence[MemberRow], finished: Mapping[str, Sequence[Finished]]) -> str:
    smaller = sorted((row for row in alike if row.trainable < best.trainable), key=lambda row: row.trainable)
    candidates = [row for row in (*smaller, best) if len(finished[row.member]) == len(finished[best.member])]
    answers = [_answers(finished[row.member]) for row in candidates]
    taken = candidates[one_standard_error(answers, groups=_groups(finished[best.member])).chosen]
    equal = [row.member for row in alike if row is not best and row.validation == best.validation]
    said = f" Of equals ({', '.join(equal)}) the one that learns fewer parameters is taken." if equal else ""
    if taken is best:
        return f"No member that learns fewer parameters is within one standard error of it.{said}"
    return (
        f"{taken.member} is within one standard error of it and learns {taken.trainable:,} parameters instead of "
        f"{best.trainable:,}.{said}"
    )


def _answers(trials: Sequence[Finished]) -> list[bool]:
    return [trial.validation[row] for trial in trials for row in sorted(trial.validation)]


def _groups(trials: Sequence[Finished]) -> list[str]:
    return [trial.groups[row] for trial in trials for row in sorted(trial.validation)]
