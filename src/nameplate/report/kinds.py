"""What became of an image between two models, and which images of each kind are shown: by a fixed rule, not by hand."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, get_args

Kind = Literal["fixed", "regressed", "still_wrong", "right_both"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FLIP_FLOP: Final = "flip_flop"
"""An image on which the models in between changed their minds at least twice."""
TWICE: Final = 2


@dataclass(frozen=True)
class Tally:
    """How many images of one kind there are, and how many are shown."""

    kind: str
    label: str
    total: int
    shown: int


def kind_of(before: bool, after: bool) -> Kind:
    """What became of an image."""
    if after:
        return "right_both" if before else "fixed"
    return "regressed" if before else "still_wrong"


def kinds_of(before: bool, after: bool, course: Sequence[bool]) -> tuple[str, ...]:
    """The kinds of an image, the one that colours it first; `course` is right or wrong, model by model.

    A flip-flop that ends as it began is neither always right nor always wrong; one that does not is fixed or regressed
    as well.
    """
    kind = kind_of(before, after)
    if changes(course) < TWICE:
        return (kind,)
    return (FLIP_FLOP,) if before == after else (kind, FLIP_FLOP)


def changes(course: Sequence[bool]) -> int:
    """How often an answer went from right to wrong or back."""
    return sum(was != now for was, now in pairwise(course))


def choose(
    kinds: Mapping[str, str], names: Mapping[str, str], *, num_images: int, order: Sequence[str] = KINDS
) -> list[str]:
    """Row ids to show: every kind gets an eighth if it has so many, the rest is shared out by size.

    Within a kind, one image of each name comes before the second of any, in an order fixed by a hash of the row id.
    """
    queues = {kind: _spread([row for row, of in kinds.items() if of == kind], names) for kind in order}
    quota = {kind: min(len(rows), num_images // 8) for kind, rows in queues.items()}
    for _ in range(min(num_images, len(kinds)) - sum(quota.values())):
        # The kind whose share of the page lags most behind its share of the test.
        lagging = [kind for kind in order if quota[kind] < len(queues[kind])]
        quota[max(lagging, key=lambda kind: len(queues[kind]) / (quota[kind] + 1))] += 1
    return [row for kind in order for row in queues[kind][: quota[kind]]]


def _spread(rows: Sequence[str], names: Mapping[str, str]) -> list[str]:
    ordered = sorted(rows, key=lambda row: hashlib.sha256(row.encode("utf-8")).hexdigest())
    seen: dict[str, int] = defaultdict(int)
    rounds = []
    for place, row in enumerate(ordered):
        rounds.append((seen[names[row]], place, row))
        seen[names[row]] += 1
    return [row for _, _, row in sorted(rounds)]
