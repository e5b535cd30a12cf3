"""Every number of a sweep, typed: what `sweep.json` holds, the page shows and `--json` prints."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from nameplate.records import ComponentName
from nameplate.summary import ComponentRow, GuardScores, Outcome, Proportion


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Standing(StrEnum):
    """How far a trial has come."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class FailureKind(StrEnum):
    """How a trial failed."""

    ERROR = "error"
    """It said in a paragraph what was wrong: a loss that is no number, a full disk."""
    OUT_OF_MEMORY = "out_of_memory"
    """It asked for more memory than there was."""
    KILLED = "killed"
    """A signal ended it; on a machine without memory left, that is what the system sends."""
    CRASH = "crash"
    """A mistake of this program, or of one below it; the log has the traceback."""


class Failure(_Result):
    """Why a trial has no result."""

    kind: FailureKind
    text: str


class TrialResult(_Result):
    """One member with one seed."""

    seed: int
    standing: Standing
    folder: str
    """Of its run, from the sweep's folder."""
    failure: Failure | None = None
    selected: str | None = None
    """The checkpoint that validation chose."""
    validation: Proportion | None = None
    test: Proportion | None = None
    looks: int = 0
    """Trained checkpoints that the test split was read for."""
    train_seconds: float = 0.0
    peak_memory_bytes: int = 0
    """Of the process, while it trained."""
    cached_bytes: int | None = None
    """Frozen prefix on disk; none: not known."""
    guards: GuardScores | None = None
    """What the chosen checkpoint still knows beside the names; none: it was not asked."""
    base_guards: GuardScores | None = None
    """What the base knew."""


class MemberComparison(_Result):
    """A member against the reference, on the same test images."""

    num_answers: int
    """Of each of the two: images times seeds."""
    num_seeds: int
    fixed: int
    """Wrong by the reference, right by the member."""
    regressed: int
    difference: float
    low: float
    high: float
    """95 % interval of the difference, by resampling products."""
    p_value: float
    """Exact, paired, by products."""
    adjusted: float
    """After Holm, over all members that were compared."""
    outcome: Outcome
    sentence: str


class MemberRow(_Result):
    """One member of the leaderboard."""

    member: str
    changes: dict[str, Any]
    """What it has other than the recipe."""
    policies: dict[ComponentName, str]
    """What each component does, in words."""
    parts: list[ComponentRow]
    """What learns, by component."""
    trials: list[TrialResult]
    validation: Proportion | None
    """Over its seeds; the interval is that of the images."""
    test: Proportion | None
    comparison: MemberComparison | None
    remark: str = ""
    """Why there is no comparison, where one is missed."""

    @property
    def trainable(self) -> int:
        """Parameters that learn."""
        return sum(part.trainable for part in self.parts)

    @property
    def done(self) -> list[TrialResult]:
        """Trials with a result."""
        return [trial for trial in self.trials if trial.standing is Standing.DONE]


class SweepSummary(_Result):
    """`sweep.json`: the leaderboard."""

    nameplate: str
    title: str
    recipe: str
    """Where the recipe lies."""
    command: str
    """What to type to get this again."""
    reference: str
    headline: str
    """The question whose accuracy counts."""
    base: Proportion | None
    """The untrained model on the test images; none: nothing is done yet."""
    rows: list[MemberRow]
    """Best on validation first; those without a result last."""
    chosen: str | None
    """Best on validation."""
    choice: str
    """The choice in words."""
    num_compared: int
    """Comparisons that Holm's correction is over."""
    looks: int
    """Readings of the test split, over all trials."""
    notes: list[str]
    """What must be known to believe it."""

    @property
    def num_failed(self) -> int:
        """Trials without a result that will not get one by waiting."""
        return sum(trial.standing is Standing.FAILED for row in self.rows for trial in row.trials)
