"""Intervals by resampling: of rows, of groups of rows, within names.

Bounds are expanded percentiles (Hesterberg 2015, The American Statistician 69:371, section 4): a plain percentile
interval is too narrow by what a normal interval would lack against Student's, which shows where groups are few.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from nameplate.statistics.proportions import CONFIDENCE, Interval, wilson_bounds, z_score

RESAMPLES = 10_000
FEW_ROWS = 10
"""Names with fewer rows are resampled together,"""
POOLED_ROWS = 30
"""and more names with them until they have so many."""

Floats = npt.NDArray[np.float64]


def paired_bootstrap(
    before: Sequence[bool],
    after: Sequence[bool],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of mean(after) - mean(before), resampling rows with both their answers.

    Where no row changed the interval is a point, which says nothing about rows that were not seen;
    `paired_difference` does.
    """
    return cluster_bootstrap(
        before, after, groups=range(len(before)), seed=seed, confidence=confidence, resamples=resamples
    )


def cluster_bootstrap(
    before: Sequence[bool],
    after: Sequence[bool],
    *,
    groups: Sequence[Hashable],
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of mean(after) - mean(before), resampling whole groups of rows, such as all images of one product.

    Args:
        before: whether the one model was right, by row.
        after: likewise of the other, the same rows in the same order.
        groups: the group of each row.
        seed: of the resampling.
        confidence: of the interval.
        resamples: how many.

    A single group bounds nothing: -1 to 1.
    """
    assert len(before) == len(after) == len(groups), f"{len(before)}, {len(after)}, {len(groups)} rows"
    if not len(before):
        return Interval(0.0, 0.0)
    sums = group_sums(np.asarray(after, dtype=float) - np.asarray(before, dtype=float), groups)
    if len(sums) < 2:
        return Interval(-1.0, 1.0)
    drawn = _resampled(sums, seed=seed, resamples=resamples)
    return _bounds(drawn[:, 0] / drawn[:, 1], num_units=len(sums), confidence=confidence)


def share_difference_bootstrap(
    before: Sequence[tuple[int, int]],
    after: Sequence[tuple[int, int]],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of share(after) - share(before), where a row has several things that are counted.

    Args:
        before: (count, n) of every row; the share is the sum of counts over the sum of n.
        after: likewise, of the same rows in the same order.
        seed: of the bootstrap.
        confidence: of the interval.
        resamples: how many.

    Rows are drawn with all that they have, since what is counted in one row is not independent.
    """
    assert len(before) == len(after), f"{len(before)} rows before, {len(after)} after"
    if not before:
        return Interval(-1.0, 1.0)
    rows = np.hstack([np.asarray(before, dtype=float), np.asarray(after, dtype=float)])
    sums = _resampled(rows, seed=seed, resamples=resamples)
    drawn = sums[(sums[:, 1] > 0) & (sums[:, 3] > 0)]
    if not len(drawn):
        return Interval(-1.0, 1.0)
    differences = drawn[:, 2] / drawn[:, 3] - drawn[:, 0] / drawn[:, 1]
    return _bounds(differences, num_units=len(rows), confidence=confidence)


def macro_bootstrap(
    right: Sequence[bool],
    names: Sequence[Hashable],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of the macro accuracy (the mean over names of their own), resampling rows within their names.

    Of a name's n rows n - 1 are drawn, which makes the spread right (Rao and Wu 1988, JASA 83:231). Names with few rows
    do not know their own spread: they draw from all of their kind, which errs on the wide side. Where nothing varies,
    the width is that of a Wilson interval. Not covered: names that are in no row, and several images of one product.
    """
    values, drawing = np.asarray(right, dtype=float), {"seed": seed, "confidence": confidence, "resamples": resamples}
    return _macro(values, names, few_rows=FEW_ROWS, lowest=0.0, **drawing)


def macro_difference_bootstrap(
    before: Sequence[bool],
    after: Sequence[bool],
    names: Sequence[Hashable],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of macro(after) - macro(before) over the same rows; see `macro_bootstrap`.

    Changes are so rare that no name knows its own spread: all of them draw from all.
    """
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    drawing = {"seed": seed, "confidence": confidence, "resamples": resamples}
    return _macro(change, names, few_rows=math.inf, lowest=-1.0, **drawing)


def group_sums(values: Floats, groups: Sequence[Hashable]) -> Floats:
    """Of each group the sum of its values and how many it has: (num_groups, 2); a `range` is every row on its own."""
    if isinstance(groups, range):
        return np.stack([values, np.ones(len(values))], axis=1)
    places: dict[Hashable, int] = {}
    index = np.asarray([places.setdefault(group, len(places)) for group in groups], dtype=int)
    return np.stack([np.bincount(index, values), np.bincount(index).astype(float)], axis=1)


def design_effect(before: Sequence[bool], after: Sequence[bool], *, groups: Sequence[Hashable]) -> float:
    """How many times larger groups make the variance of the difference (Kish 1965); at least 1.

    So many rows are worth as little as the number of rows divided by it, when they were independent.
    """
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    sums = group_sums(change, groups)
    if len(change) < 2 or len(sums) < 2 or np.ptp(change) == 0:
        return 1.0
    mean = change.mean()
    grouped = ((sums[:, 0] - mean * sums[:, 1]) ** 2).sum() * len(sums) / (len(sums) - 1)
    alone = ((change - mean) ** 2).sum() * len(change) / (len(change) - 1)
    return max(1.0, float(grouped / alone))


def _macro(values: Floats, names: Sequence[Hashable], *, few_rows: float, lowest: float, **drawing: Any) -> Interval:
    assert len(values) == len(names), f"{len(values)} values, {len(names)} names"
    if not len(values):
        return Interval(lowest, 1.0)
    own: dict[Hashable, list[float]] = defaultdict(list)
    for value, name in zip(values.tolist(), names, strict=True):
        own[name].append(value)
    drawn, sizes = _drawn_by_name(list(own.values()), few_rows, seed=drawing["seed"], resamples=drawing["resamples"])
    confidence = drawing["confidence"]
    if np.ptp(drawn) > 1e-12:
        low, high = _bounds(drawn, num_units=len(values), confidence=confidence)
    else:
        # As many rows as would give a plain mean the same spread.
        reach = wilson_bounds(0.0, len(own) ** 2 / float((1 / sizes).sum()), confidence=confidence).high
        low, high = float(drawn[0]) - reach, float(drawn[0]) + reach
    return Interval(max(lowest, low), min(1.0, high))


def _drawn_by_name(own: list[list[float]], few_rows: float, *, seed: int, resamples: int) -> tuple[Floats, Floats]:
    """Resampled means over names of their own means, and how many rows of each name were drawn for them."""
    ordered = sorted(own, key=len)
    few, num_rows = 0, 0
    while few < len(ordered) and (len(ordered[few]) < few_rows or 0 < num_rows < POOLED_ROWS):
        num_rows += len(ordered[few])
        few += 1
    kinds = np.unique([value for rows in own for value in rows])
    chances = [[rows.count(kind) / len(rows) for kind in kinds] for rows in ordered]
    rng, total = np.random.default_rng(seed), np.zeros(resamples)
    # Names of one size that draw from one distribution are drawn for together.
    shared = np.mean(chances[:few], axis=0) if few else np.zeros(len(kinds))
    for size, num_names in Counter(map(len, ordered[:few])).items():
        total += rng.multinomial(size * num_names, shared, size=resamples) @ kinds / size
    for rows, own_chances in zip(ordered[few:], chances[few:], strict=True):
        total += rng.multinomial(len(rows) - 1, own_chances, size=resamples) @ kinds / (len(rows) - 1)
    sizes = [len(rows) - (place >= few) for place, rows in enumerate(ordered)]
    return total / len(own), np.asarray(sizes, dtype=float)


def _resampled(units: Floats, *, seed: int, resamples: int) -> Floats:
    """Sums over as many units as there are, drawn with replacement: (resamples, columns).

    Units that are alike are drawn together, by one multinomial: the same distribution, in a fraction of the time.
    """
    kinds, counts = np.unique(units, axis=0, return_counts=True)
    num_units = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(num_units, counts / num_units, size=resamples)
    return np.asarray(drawn @ kinds, dtype=float)


def student_factor(num_units: int, confidence: float) -> float:
    """How much wider Student's interval of a mean of so many is than a normal one."""
    from scipy.special import stdtrit

    return float(stdtrit(max(1, num_units - 1), 0.5 + confidence / 2)) / z_score(confidence)


def _bounds(drawn: Floats, *, num_units: int, confidence: float) -> Interval:
    student = z_score(confidence) * student_factor(num_units, confidence)
    tail = NormalDist().cdf(-student * math.sqrt(num_units / max(1, num_units - 1)))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(low), float(high))
