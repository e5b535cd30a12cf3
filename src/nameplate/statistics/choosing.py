"""Choosing a checkpoint on validation, and saying whether later ones got worse."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nameplate.statistics.bootstrap import group_sums
from nameplate.statistics.pairs import sign_flip_exact
from nameplate.statistics.several import holm

Answers = Sequence[bool]
"""Of one candidate, whether each row was right."""


@dataclass(frozen=True)
class Choice:
    """What the one-standard-error rule takes, by place in the order of the candidates."""

    chosen: int
    best: int
    """Most rows right; of equals the earliest."""
    behind: float
    """By how much the best one is better than the chosen one, as a share."""
    standard_error: float
    """Of that difference, on the same rows; 0 where the best one is chosen."""


class Drop(NamedTuple):
    """One candidate after the best."""

    place: int
    difference: float
    """Its share less that of the best."""
    p_value: float
    """Exact, paired, adjusted by Holm for all candidates after the best."""
    is_real: bool


def one_standard_error(candidates: Sequence[Answers], *, groups: Sequence[Hashable] | None = None) -> Choice:
    """The earliest candidate that is within one standard error of the best, on the same rows.

    Args:
        candidates: answers of each, earliest (least trained) first.
        groups: the group of each row; none: every row is its own.

    Source: Breiman et al. 1984 (Classification and Regression Trees, 3.4.3), here by the error of the difference.
    """
    assert candidates, "nothing to choose from"
    right = [sum(answers) for answers in candidates]
    best = right.index(max(right))
    for place in range(best):
        error = difference_error(candidates[place], candidates[best], groups=groups)
        behind = (right[best] - right[place]) / max(1, len(candidates[best]))
        # One row, or one group, is exactly one standard error; rounding must not decide.
        if behind <= error * (1 + 1e-9):
            return Choice(place, best, behind, error)
    return Choice(best, best, 0.0, 0.0)


def difference_error(before: Answers, after: Answers, *, groups: Sequence[Hashable] | None = None) -> float:
    """Standard error of mean(after) - mean(before) over the same rows, whole groups being what varies."""
    assert len(before) == len(after), f"{len(before)} rows before, {len(after)} after"
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    sums = group_sums(change, groups if groups is not None else range(len(change)))
    if len(sums) < 2:
        return math.inf
    off = sums[:, 0] - change.mean() * sums[:, 1]
    return float(math.sqrt((off**2).sum() * len(sums) / (len(sums) - 1)) / len(change))


def drops(
    candidates: Sequence[Answers], *, groups: Sequence[Hashable] | None = None, alpha: float = 0.05
) -> list[Drop]:
    """What became of the candidates after the best: a real drop is overfitting, all else is a plateau.

    Args:
        candidates: answers of each, earliest first.
        groups: the group of each row; none: every row is its own.
        alpha: chance of calling any drop real when none is.

    The best is the best of these very rows, which makes every other one look worse by chance: the test is on the bold
    side, and a drop that it does not show is not there to be seen.
    """
    right = [sum(answers) for answers in candidates]
    best = right.index(max(right))
    later = range(best + 1, len(candidates))
    by_row = groups if groups is not None else range(len(candidates[best]))
    nets = [
        group_sums(np.asarray(candidates[place], dtype=float) - np.asarray(candidates[best], dtype=float), by_row)
        for place in later
    ]
    adjusted = holm([sign_flip_exact([int(net) for net in sums[:, 0]]) for sums in nets])
    return [
        Drop(place, (right[place] - right[best]) / max(1, len(candidates[best])), p_value, p_value < alpha)
        for place, p_value in zip(later, adjusted, strict=True)
    ]
