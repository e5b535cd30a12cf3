"""What all figures of a run are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["better", "worse", "tie"]


class Figures(BaseModel):
    """Figures that are written, shown and read back; frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Proportion(Figures):
    """A share with its denominator and its 95 % Wilson interval."""

    count: int
    n: int
    value: float
    low: float
    high: float
