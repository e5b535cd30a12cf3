"""Several comparisons at once, and the best of several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: below 0.05 each, with at most a 5 % chance of any mistake (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def selection_optimism(share: float, n: int, *, num_candidates: int, correlation: float = 0.0) -> float:
    """By how much the best of several equally good candidates looks better than it is, on the rows that chose it.

    Args:
        share: what each of them really gets right.
        n: rows that chose.
        num_candidates: how many there were.
        correlation: of their answers to the same rows; 0: independent models.

    The mean of the largest of so many normal deviates (Harter 1961, Biometrika 48:151), in standard errors of a share.
    """
    if num_candidates < 2:
        return 0.0
    z = np.linspace(-9.0, 9.0, 18_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = (np.cumsum(density) - density / 2) * (z[1] - z[0])
    largest = float((num_candidates * z * density * below ** (num_candidates - 1)).sum() * (z[1] - z[0]))
    return largest * math.sqrt(share * (1 - share) / n) * math.sqrt(1 - correlation)
