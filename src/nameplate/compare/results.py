"""What a comparison finds: every number of its table and its page."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from nameplate.records import ComponentName, SplitName
from nameplate.summary import ComponentRow, Outcome, Proportion

Bearing = Literal["borne_out", "contradicted", "cannot_tell", "untested", "no_advice"]
"""What became of a probe's advice; untested: no two of the models tell; no_advice: there was nothing to follow."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Learned(_Frozen):
    """What a model's training changed, and what it took."""

    parts: list[ComponentRow]
    seconds: float
    """Of training."""
    peak_memory_bytes: int
    """Of the process that trained; 0: not measured."""

    @property
    def trainable(self) -> int:
        """Parameters that learned."""
        return sum(part.trainable for part in self.parts)

    @property
    def components(self) -> list[ComponentName]:
        """The components of which something learned."""
        return [part.component for part in self.parts if part.trainable]


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
    learned: Learned | None = None
    """None: the untrained base, or a run that does not say."""


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


class Pair(_Frozen):
    """Two of the models against each other."""

    before: str
    after: str
    fixed: int
    regressed: int
    difference: float
    p_value: float
    p_holm: float
    """Adjusted for all pairs; it decides."""
    outcome: Outcome


class AdviceTest(_Frozen):
    """The models that took a probe's advice, against those that did not."""

    bearing: Bearing
    followed: list[str]
    """Labels of the trained models that thaw what was advised."""
    left: list[str]
    """Those that leave it frozen."""
    best_followed: str | None = None
    best_left: str | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    """Of the best that followed against the best that did not: exact, paired; it decides."""
    sentence: str = ""


class ProbedFirst(_Frozen):
    """What a probe of the same split found before any of the models was trained."""

    run: str
    """The run that it was made in."""
    read: SplitName
    """The rows that its figures are of."""
    advice: str
    word: str
    """The advice as a heading."""
    sentence: str
    component: ComponentName | None
    """What it advises to thaw; none: nothing."""
    majority: Proportion
    """Right by always saying the commonest name."""
    says: Proportion
    ceiling: Proportion
    """Read from the frozen model by the reader that is best on training rows."""
    test: AdviceTest


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
    pairs: list[Pair] = []
    """Each against each; empty where there are only two models."""
    leader: str = ""
    """Which model is right most often, and over which others that is more than chance; "" where there are only two."""
    probe: ProbedFirst | None = None
    notes: list[str]
    """What must be known to believe the numbers."""
