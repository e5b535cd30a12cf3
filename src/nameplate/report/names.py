"""The names, each with its own accuracy and interval, those with most training examples first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nameplate.statistics import wilson
from nameplate.summary import NameScore

SHOWN: Final = 60
"""Names shown at once; the others are one click away."""


@dataclass(frozen=True)
class NameRow:
    """One name on the test split."""

    name: str
    train: int
    test: int
    before: float
    after: float
    low: float
    """95 % Wilson interval of `after`."""
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

    @property
    def num_names(self) -> int:
        """Names with at least one test image."""
        return len(self.first) + len(self.rest)


def build_names(scores: list[NameScore]) -> Names:
    """Sort by training examples; names without test images are left out, they have no accuracy."""
    ordered = sorted((score for score in scores if score.test), key=lambda score: (-score.train, score.name))
    rows = tuple(_row(score) for score in ordered)
    return Names(
        first=rows[:SHOWN],
        rest=rows[SHOWN:],
        num_better=sum(1 for score in ordered if score.after > score.before),
        num_worse=sum(1 for score in ordered if score.after < score.before),
        num_never=sum(1 for score in ordered if score.after == 0),
    )


def _row(score: NameScore) -> NameRow:
    after = wilson(score.after, score.test)
    before = score.before / score.test
    return NameRow(score.name, score.train, score.test, before, after.value, after.low, after.high)
