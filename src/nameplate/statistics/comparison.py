"""The whole comparison of two models on the same rows, and its sentence."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from nameplate.statistics.bootstrap import RESAMPLES, cluster_bootstrap, design_effect, group_sums, student_factor
from nameplate.statistics.pairs import mcnemar_exact, paired_difference, sign_flip_exact
from nameplate.statistics.power import fewest_changed, paired_detectable
from nameplate.statistics.proportions import CONFIDENCE, Interval

SIGNIFICANT: Final = 0.05

Outcome = Literal["better", "worse", "tie"]


@dataclass(frozen=True)
class PairedComparison:
    """Two models on the same rows."""

    n: int
    num_groups: int
    """Groups of rows that stand or fall together; as many as rows where every row is its own."""
    both: int
    fixed: int
    """Wrong before, right after."""
    regressed: int
    """Right before, wrong after."""
    neither: int
    difference: float
    """Share right after less share right before."""
    low: float
    high: float
    """Its 95 % interval, see `difference_interval`."""
    p_value: float
    """Exact, two-sided, by groups; where every row is its own group this is McNemar's."""
    mcnemar: float
    """Exact McNemar, which takes every row for independent."""
    detectable: float | None
    """The difference that such a test shows four times out of five; none: no difference at all."""

    @property
    def before(self) -> int:
        """Rows that were right before."""
        return self.both + self.regressed

    @property
    def after(self) -> int:
        """Rows that are right after."""
        return self.both + self.fixed

    def outcome(self, p_value: float | None = None) -> Outcome:
        """What is shown; `p_value`: this comparison's, adjusted for the others that were made with it."""
        p_value = self.p_value if p_value is None else p_value
        if p_value >= SIGNIFICANT:
            return "tie"
        return "better" if self.difference > 0 else "worse"


def compare_pairs(
    before: Sequence[bool],
    after: Sequence[bool],
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> PairedComparison:
    """Compare two models on the same rows.

    Args:
        before: whether the one was right, by row.
        after: likewise of the other, in the same order.
        groups: the group of each row, such as its product; none: every row is its own.
        seed: of the resampling.
        confidence: of the interval.
    """
    assert len(before) == len(after), f"{len(before)} rows before, {len(after)} after"
    was, now = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    by_row = groups if groups is not None else range(len(was))
    n, both = len(was), int((was & now).sum())
    fixed, regressed = int((~was & now).sum()), int((was & ~now).sum())
    nets = group_sums(now.astype(float) - was.astype(float), by_row)
    low, high = difference_interval(before, after, groups=groups, seed=seed, confidence=confidence)
    worth = int(n / design_effect(before, after, groups=by_row)) if n else 0
    return PairedComparison(
        n=n,
        num_groups=len(nets),
        both=both,
        fixed=fixed,
        regressed=regressed,
        neither=n - both - fixed - regressed,
        difference=(fixed - regressed) / n if n else 0.0,
        low=low,
        high=high,
        p_value=sign_flip_exact([int(net) for net in nets[:, 0]]),
        mcnemar=mcnemar_exact(fixed, regressed),
        detectable=paired_detectable(worth, changed=(fixed + regressed) / n) if fixed + regressed else None,
    )


def difference_interval(
    before: Sequence[bool],
    after: Sequence[bool],
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of mean(after) - mean(before): by resampling whole groups, and never narrower than Newcombe's.

    Resampling alone is too narrow where few rows change or groups are few. Newcombe's interval of the pairs is not; it
    is widened by the square root of the design effect and by Student's factor for so many groups, as surveys do it
    (Korn and Graubard 1998, Survey Methodology 24:193).
    """
    was, now = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if len(was) < 1:
        return Interval(-1.0, 1.0)
    by_row = groups if groups is not None else range(len(was))
    drawn = cluster_bootstrap(before, after, groups=by_row, seed=seed, confidence=confidence, resamples=resamples)
    counts = [int(kind.sum()) for kind in (was & now, ~was & now, was & ~now, ~was & ~now)]
    plain, difference = paired_difference(*counts, confidence=confidence), (counts[1] - counts[2]) / len(was)
    num_groups = len(by_row) if isinstance(by_row, range) else len(set(by_row))
    wider = math.sqrt(design_effect(before, after, groups=by_row)) * student_factor(num_groups, confidence)
    return Interval(
        max(-1.0, min(drawn.low, difference - wider * (difference - plain.low))),
        min(1.0, max(drawn.high, difference + wider * (plain.high - difference))),
    )


def in_words(
    comparison: PairedComparison,
    *,
    before: str,
    after: str,
    rows: str = "images",
    p_value: float | None = None,
    num_comparisons: int = 1,
) -> str:
    """The comparison as one plain sentence; a tie is called a tie, with what could have been seen.

    Args:
        comparison: of the two.
        before: what to call the first model.
        after: what to call the second one.
        rows: what to call the rows, such as "test images".
        p_value: adjusted for the other comparisons; none: its own.
        num_comparisons: how many were adjusted for together.
    """
    p_value = comparison.p_value if p_value is None else p_value
    n, outcome = comparison.n, comparison.outcome(p_value)
    if not n:
        return f"Nothing to compare: {after} and {before} share no {rows}."
    facts = (
        f"{after} gets {comparison.after} of {n} {rows} right ({comparison.after / n:.1%}), {before} "
        f"{comparison.before} ({comparison.before / n:.1%}); {comparison.fixed} became right, "
        f"{comparison.regressed} became wrong"
    )
    tested = f"exact paired {p_text(p_value)}" + (f", Holm over {num_comparisons}" if num_comparisons > 1 else "")
    if outcome == "tie":
        return f"A tie: {facts}; such a difference can be chance ({tested}). {_seen(comparison)}"
    points = f"{100 * comparison.difference:+.1f} points, 95 % interval {points_text(comparison.low, comparison.high)}"
    return f"{outcome.capitalize()}: {facts}; {points}, {tested}."


def points_text(low: float, high: float) -> str:
    """An interval of differences in percentage points: `-1.2 to +4.0`."""
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def p_text(p_value: float) -> str:
    """`p = 0.031`, or a bound where more digits would say nothing."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _seen(comparison: PairedComparison) -> str:
    changed = comparison.fixed + comparison.regressed
    if not changed:
        return "No row was answered differently."
    if comparison.n < fewest_changed():
        return f"So few rows can show nothing: at least {fewest_changed()} must change, all in one direction."
    if comparison.detectable is None:
        return f"With {changed} changed rows no difference could have been shown reliably."
    return f"With so many changes, only a difference of about {100 * comparison.detectable:.1f} points or more shows."
