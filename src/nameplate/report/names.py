"""The names, each with its own accuracy drawn towards that of all by how little is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nameplate.report.formats import percent
from nameplate.statistics import Shrunk, fit_prior, shrink
from nameplate.summary import NameScore

SHOWN: Final = 60
"""Names shown at once at most; the others are one click away,"""
FEW: Final = 5
"""and so are names with fewer test images,"""
ALWAYS: Final = 10
"""unless fewer names than this would be left."""
ALIKE_ROWS: Final = 10_000.0
"""A prior worth so many images says that names differ by no more than chance."""


@dataclass(frozen=True)
class NameRow:
    """One name on the test split."""

    name: str
    train: int
    test: int
    right: int
    before: float
    after: float
    """As counted."""
    shrunk: float
    """As estimated from this name's images and those of all names."""
    low: float
    """95 % interval of the estimate."""
    high: float


@dataclass(frozen=True)
class Names:
    """All names with test images, and what can be said of them together."""

    first: tuple[NameRow, ...]
    rest: tuple[NameRow, ...]
    num_better: int
    num_worse: int
    num_never: int
    """Names that are never said right after training."""
    shrinkage: str
    """What drawing towards the average does here, in words."""

    @property
    def num_names(self) -> int:
        """Names with at least one test image."""
        return len(self.first) + len(self.rest)


def build_names(scores: Sequence[NameScore]) -> Names:
    """Sort by test images; names without any are left out, they have no accuracy."""
    ordered = sorted((each for each in scores if each.test), key=lambda each: (-each.test, -each.train, each.name))
    counted = [(each.after, each.test) for each in ordered]
    rows = [_row(each, shrunk) for each, shrunk in zip(ordered, shrink(counted) if counted else (), strict=True)]
    known = sum(row.test >= FEW for row in rows)
    shown = min(SHOWN, max(known, ALWAYS))
    return Names(
        first=tuple(rows[:shown]),
        rest=tuple(rows[shown:]),
        num_better=sum(score.after > score.before for score in ordered),
        num_worse=sum(score.after < score.before for score in ordered),
        num_never=sum(score.after == 0 for score in ordered),
        shrinkage=_in_words(counted) if len(counted) > 1 else "",
    )


def _row(score: NameScore, shrunk: Shrunk) -> NameRow:
    return NameRow(
        name=score.name,
        train=score.train,
        test=score.test,
        right=score.after,
        before=score.before / score.test,
        after=score.after / score.test,
        shrunk=shrunk.value,
        low=shrunk.low,
        high=shrunk.high,
    )


def _in_words(counted: Sequence[tuple[int, int]]) -> str:
    right, n = (sum(each) for each in zip(*counted, strict=True))
    if right in (0, n):
        return f"All names are {'always' if right else 'never'} right, so nothing is known of how they differ."
    prior = fit_prior(counted)
    if prior.rows >= ALIKE_ROWS:
        return (
            f"The names differ hardly more than chance explains, so each estimate is drawn far towards the average "
            f"name ({percent(prior.mean)}), whatever was counted."
        )
    return (
        f"Each estimate is drawn from what was counted towards the average name ({percent(prior.mean)}), about as far "
        f"as {max(1, round(prior.rows))} more test images of an average name would draw it: the fewer images, the "
        "further."
    )
