"""From rows that came right to shares, and from two levels of the same rows to what lies between them. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from nameplate.stages.probe.results import Gap, Level, Macro, NameFigures, Scored, Slice, Sure
from nameplate.stages.probe.sample import ProbedRow
from nameplate.stages.probe.thresholds import CONFIDENCE
from nameplate.statistics import difference_interval, macro_bootstrap, wilson
from nameplate.summary import Proportion

FIRST: Final = 5
"""Names among which the right one may be."""
EDGES: Final = (0, 10, 30, 100, 300)
"""Training images of a name; the last slice has no upper edge."""

Rights = Mapping[Level, list[bool]]
"""Whether each row came right, by level."""


def proportion(count: int, n: int) -> Proportion:
    """A share with its 95 % Wilson interval."""
    share = wilson(count, n)
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def scored(ranks: Sequence[int], names: Sequence[str], *, num_names: int, seed: int) -> Scored:
    """From the place of each row's own name among all, 0 for the first."""
    right = [rank == 0 for rank in ranks]
    among = sum(rank < FIRST for rank in ranks)
    top5 = proportion(among, len(ranks)) if num_names > FIRST else None
    return scored_once(right, names, seed=seed).model_copy(update={"top5": top5})


def scored_once(right: Sequence[bool], names: Sequence[str], *, seed: int) -> Scored:
    """From single answers."""
    by_name: dict[str, list[bool]] = defaultdict(list)
    for name, good in zip(names, right, strict=True):
        by_name[name].append(good)
    interval = macro_bootstrap(right, names, seed=seed)
    value = sum(sum(own) / len(own) for own in by_name.values()) / len(by_name)
    macro = Macro(value=value, low=interval.low, high=interval.high)
    return Scored(top1=proportion(sum(right), len(right)), top5=None, macro=macro)


def rank(scores: Sequence[float], own: int) -> int:
    """Names that score higher than a row's own; of equal ones, the first is taken."""
    return sum(score > scores[own] or (score == scores[own] and place < own) for place, score in enumerate(scores))


def gap_between(more: Sequence[bool], less: Sequence[bool], groups: Sequence[str], *, seed: int) -> Gap:
    """By how much `more` exceeds `less`; rows of one group are resampled together."""
    shown = difference_interval(less, more, groups=groups, seed=seed)
    sure = difference_interval(less, more, groups=groups, seed=seed, confidence=CONFIDENCE)
    return Gap(
        value=(sum(more) - sum(less)) / len(more),
        low=shown.low,
        high=shown.high,
        surely_over=sure.low,
        surely_under=sure.high,
    )


def sure_share(right: Sequence[bool], groups: Sequence[str], *, seed: int) -> Sure:
    """Bounds of a share that the advice asks for."""
    nothing = [False] * len(right)
    interval = difference_interval(nothing, right, groups=groups, seed=seed, confidence=CONFIDENCE)
    return Sure(low=max(0.0, interval.low), high=min(1.0, interval.high))


def by_support(rows: Sequence[ProbedRow], rights: Rights, train: Counter[str]) -> Iterator[Slice]:
    """The rows by how many training images their names have; slices without rows are left out."""
    for low, high in pairwise((*EDGES, math.inf)):
        places = [place for place, row in enumerate(rows) if low <= train[row.name] < high]
        if places:
            label = f"{low} and more" if high == math.inf else f"under {high}" if low == 0 else f"{low} to {high - 1}"
            yield Slice(
                kind="training images of the name",
                label=label,
                names=len({rows[place].name for place in places}),
                rows=len(places),
                levels=shares_at(rights, places),
            )


def by_text(rows: Sequence[ProbedRow], rights: Rights, has_text: Sequence[bool]) -> Iterator[Slice]:
    """The rows with words that can be read in the image, and those without."""
    for label, wanted in (("words can be read", True), ("no words", False)):
        places = [place for place, found in enumerate(has_text) if found is wanted]
        if places:
            yield Slice(
                kind="text in the image",
                label=label,
                names=len({rows[place].name for place in places}),
                rows=len(places),
                levels=shares_at(rights, places),
            )


def by_name(rows: Sequence[ProbedRow], rights: Rights, train: Counter[str]) -> list[NameFigures]:
    """Every name, most training images first."""
    count = Counter(row.name for row in rows)
    found = [
        NameFigures(
            name=name,
            train=train[name],
            rows=count[name],
            levels={
                level: sum(good for row, good in zip(rows, right, strict=True) if row.name == name)
                for level, right in rights.items()
            },
        )
        for name in count
    ]
    return sorted(found, key=lambda each: (-each.train, each.name))


def shares_at(rights: Rights, places: Sequence[int]) -> dict[Level, Proportion]:
    """Each level's share of some of the rows."""
    return {level: proportion(sum(right[place] for place in places), len(places)) for level, right in rights.items()}
