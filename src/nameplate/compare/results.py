"""What a comparison finds: every number of its table and its page."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from nameplate.summary import Outcome, Proportion


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ComparedModel(_Frozen):
    """One model on the shared rows."""

    label: str
    run: str
    checkpoint: str
    accuracy: Proportion
    macro: float
    """Mean over names of their own accuracy."""
    macro_low: float
    macro_high: float
    """Bounds of its 95 % interval, by stratified bootstrap."""


class RowChange(_Frozen):
    """One row that became right or wrong."""

    row_id: str
    image_sha256: str
    name: str
    before: str
    """Answer of the first model."""
    after: str


class Difference(_Frozen):
    """One model against the first, on the same rows."""

    before: str
    after: str
    fixed: list[RowChange]
    regressed: list[RowChange]
    difference: float
    low: float
    high: float
    """Bounds of its 95 % interval, see `statistics.difference_interval`."""
    macro_difference: float
    macro_low: float
    macro_high: float
    p_value: float
    """Exact, paired, whole products being exchanged."""
    p_holm: float
    """The same, adjusted for all comparisons with the first model; it decides."""
    mcnemar: float
    """Exact McNemar, which takes all images for independent."""
    detectable: float | None
    """The difference that this test would show four times out of five; none: no difference."""
    outcome: Outcome
    sentence: str


class ComparisonSummary(_Frozen):
    """`nameplate compare --json`: models on the rows that all of them answered."""

    split: str
    prompt: str
    question: str
    """What the models were asked; "" where the runs are too old to say."""
    rows: int
    products: int
    """Groups of rows that show the same product."""
    names: int
    rows_of: dict[str, int]
    """Rows that each model answered, by its label."""
    models: list[ComparedModel]
    differences: list[Difference]
    notes: list[str]
    """What must be known to believe the numbers."""
