"""Which checkpoint is chosen on validation, by the one-standard-error rule, and why, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from nameplate.errors import ModelError
from nameplate.stages.score.results import Prediction
from nameplate.statistics import Choice, drops, one_standard_error, p_text


class Chosen(NamedTuple):
    """The chosen checkpoint and the reason."""

    name: str
    sentence: str


def choose(
    answers: Mapping[str, Sequence[Prediction]], *, groups: Mapping[str, str], averages: Collection[str] = ()
) -> Chosen:
    """The earliest candidate within one standard error of the best.

    Args:
        answers: of each candidate, earliest first and averages last, to the headline question on validation; the same
            rows. A row that one of them has no answer to decides nothing.
        groups: the product of each row, by row id; rows that are not in it stand alone.
        averages: candidates that are the average of others, and no further step of the training.

    Raises:
        ModelError: no row was answered by all candidates.
    """
    names = list(answers)
    asked = [[each.row_id for each in own] for own in answers.values()]
    assert all(each == asked[0] for each in asked), "they were asked different rows"
    places = [place for place in range(len(asked[0])) if all(own[place].scored for own in answers.values())]
    if not places:
        raise ModelError(
            "validation",
            found=f"no row was answered by all of {', '.join(names)}",
            fix="remove the checkpoint that answers nothing, or see why it does (NaN in its weights, a failing server)",
        )
    right = {name: [own[place].right for place in places] for name, own in answers.items()}
    by_product = [groups.get(row_id, f"row {row_id}") for row_id in (asked[0][place] for place in places)]
    choice = one_standard_error(list(right.values()), groups=by_product)
    counts = [sum(own) for own in right.values()]
    steps = {name: own for name, own in right.items() if name not in averages}
    chosen = names[choice.chosen]
    parts = [
        _reason(names, counts, len(places), choice),
        f"{chosen} is the average of several checkpoints." if chosen in averages else "",
        _left_out(len(asked[0]) - len(places)),
        _later(steps, by_product),
        "The test split had no say.",
    ]
    return Chosen(chosen, " ".join(filter(None, parts)))


def _left_out(count: int) -> str:
    if not count:
        return ""
    rows = "One row" if count == 1 else f"{count:,} rows"
    return f"{rows} that not all of them answered {'was' if count == 1 else 'were'} left out."


def _later(steps: Mapping[str, Sequence[bool]], groups: Sequence[str]) -> str:
    """What became of the training after its best checkpoint; "": nothing did."""
    names, right = list(steps), list(steps.values())
    best = max(range(len(names)), key=lambda place: (sum(right[place]), -place))
    later = [
        f"{names[drop.place]} is {-100 * drop.difference:.1f} points below {names[best]}: "
        + ("overfitting" if drop.is_real else "a plateau, since so little can be chance")
        + f" (exact paired {p_text(drop.p_value)})"
        for drop in drops(right, groups=groups)
        if drop.difference < 0
    ]
    return f"Later on, {'; '.join(later)}." if later else ""


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
