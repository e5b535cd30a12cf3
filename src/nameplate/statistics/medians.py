"""The interval of a median."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nameplate.statistics.proportions import CONFIDENCE, Interval


def median_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a median by the sign test: two order statistics, exact for any distribution.

    Few values (under six at 95 %) cannot bound a median: the interval is then the whole line.
    """
    from scipy import stats

    ordered = sorted(values)
    # The chance that so many of n values or fewer lie below the median is that of so few heads.
    rank = int(stats.binom.ppf((1 - confidence) / 2, len(ordered), 0.5)) if ordered else 0
    if rank == 0:
        return Interval(-math.inf, math.inf)
    return Interval(float(ordered[rank - 1]), float(ordered[-rank]))
