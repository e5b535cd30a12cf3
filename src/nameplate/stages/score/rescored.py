"""`score/rescored-FINGERPRINT.json`: what the kept answers of a run are worth by other names."""

from __future__ import annotations

from nameplate.records import SplitName
from nameplate.summary import Metrics
from nameplate.summary.base import Figures


class RescoredModel(Figures):
    """How one model answered one question on one split, by the old names and by the new ones."""

    checkpoint: str
    split: SplitName
    prompt: str
    before: Metrics
    after: Metrics
    became_right: int
    became_wrong: int


class ChangedAnswer(Figures):
    """One answer that is judged otherwise."""

    checkpoint: str
    row_id: str
    prompt: str
    name: str
    answer: str


class VerdictChange(Figures):
    """Answers whose verdict went from one to another."""

    before: str
    after: str
    answers: int
    examples: list[ChangedAnswer]


class Rescored(Figures):
    """`nameplate rescore --json`: what the same answers are worth by other names."""

    run: str
    matcher_before: str
    """Fingerprint of the names and rules that judged before; "" in runs of older versions."""
    matcher: str
    answers: int
    distinct: int
    """Pairs of name and answer that had to be judged."""
    models: list[RescoredModel]
    changes: list[VerdictChange]
    """Most answers first."""
    merged: dict[str, str]
    """Names of rows that are now another name's."""
    outside: dict[str, int]
    """Names that the registry lacks, with their answers, which are left out."""
    selected_before: str
    selected: str
    choice: str
    notes: list[str]
    table: str
    """The answers with their new judgement, in the columns of `predictions.parquet`."""
