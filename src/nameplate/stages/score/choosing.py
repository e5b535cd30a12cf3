"""Which checkpoint is chosen on validation, by the one-standard-error rule, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nameplate.stages.score.results import Prediction
from nameplate.statistics import Choice, drops, one_standard_error, p_text


class Chosen(NamedTuple):
    """The chosen checkpoint and the reason."""

    name: str
    sentence: str


def choose(answers: Mapping[str, Sequence[Prediction]], *, groups: Mapping[str, str]) -> Chosen:
    """The earliest checkpoint within one standard error of the best.

    Args:
        answers: of each trained checkpoint, earliest first, to the headline question on validation; the same rows.
        groups: the product of each row, by row id; rows that are not in it stand alone.
    """
    names = list(answers)
    rows = [each.row_id for each in answers[names[0]]]
    assert all([each.row_id for each in own] == rows for own in answers.values()), "they were asked different rows"
    right = [[each.right for each in own] for own in answers.values()]
    by_product = [groups.get(row_id, f"row {row_id}") for row_id in rows]
    choice = one_standard_error(right, groups=by_product)
    counts = [sum(own) for own in right]
    reason = _reason(names, counts, len(rows), choice)
    later = [
        f"{names[drop.place]} is {-100 * drop.difference:.1f} points below {names[choice.best]}: "
        + ("overfitting" if drop.is_real else "a plateau, since so little can be chance")
        + f" (exact paired {p_text(drop.p_value)})"
        for drop in drops(right, groups=by_product)
        if drop.difference < 0
    ]
    after = [f"Later on, {'; '.join(later)}."] if later else []
    return Chosen(names[choice.chosen], " ".join([reason, *after, "The test split had no say."]))


def _reason(names: Sequence[str], counts: Sequence[int], n: int, choice: Choice) -> str:
    chosen, best = names[choice.chosen], names[choice.best]
    share = f"{counts[choice.chosen]:,} of {n:,} validation images ({counts[choice.chosen] / n:.1%})"
    if len(names) == 1:
        return f"{chosen} is the only checkpoint; it is right on {share}."
    if choice.chosen == choice.best:
        earlier = ", and none before it is within one standard error" if choice.best else ""
        return f"{chosen} was chosen: no other is right more often ({share}){earlier}."
    return (
        f"{chosen} was chosen by the one-standard-error rule: right on {share}, it is the earliest that is no further "
        f"behind the best ({best}, {counts[choice.best]:,}) than one standard error: {100 * choice.behind:.1f} points, "
        f"with a standard error of {100 * choice.standard_error:.1f}."
    )
