"""Whether a training has gone astray: not a spike that passes, but a loss that stays up."""

from __future__ import annotations

from statistics import median
from typing import Final

WINDOW: Final = 32
"""Steps. Spikes of a few steps are common in large models and pass by themselves (PaLM, arXiv 2204.02311, 5.1); half a
window of them moves no median."""


class Divergence:
    """Compares the median loss of the last steps with the lowest such median before.

    Astray is a median of more than twice that level and of one nat per token more: in what it thinks likely, the model
    has then lost more than a factor of 2.7 for every token, and has stayed there.
    """

    def __init__(self) -> None:
        self._recent: list[float] = []
        self._lowest: float | None = None

    def add(self, loss: float) -> str | None:
        """Note the loss of a step; what is wrong, if the training has gone astray."""
        self._recent = [*self._recent[1 - WINDOW :], loss]
        if len(self._recent) < WINDOW:
            return None
        level = median(self._recent)
        lowest = self._lowest = level if self._lowest is None else min(level, self._lowest)
        if level <= max(2 * lowest, lowest + 1):
            return None
        return f"the loss has gone up to {level:.3g} over the last {WINDOW} steps, and was {lowest:.3g} before"
