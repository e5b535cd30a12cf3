"""What captioning a table will cost, from a few of its rows that are really asked. Their answers are not paid twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from scipy.special import stdtrit

from nameplate.progress import Progress, bar
from nameplate.recipe import CaptionSection
from nameplate.records import SCHEMAS
from nameplate.stages.caption.figures import money, tokens_of
from nameplate.stages.caption.stage import CaptionStage
from nameplate.statistics import CONFIDENCE, Share, wilson
from nameplate.store.database import open_database
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables
from nameplate.teacher.client import Answers

ROWS_FOR_ESTIMATE: Final = 20
MANY_ROWS: Final = 5_000
"""A table so long gets its estimate before it is asked about, without being told to."""

# A digest of the row, so that the sample is the same each time, and a larger one contains the smaller.
_DRAW: Final = """
SELECT * FROM read_parquet($files) ORDER BY md5(row_id || ' caption'), row_id LIMIT $num_rows
"""


@dataclass(frozen=True)
class Mean:
    """A mean over rows with its 95 % interval (Student's t), never below zero."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Mean:
        """The same of so many rows."""
        return Mean(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class CaptionEstimate:
    """What one row takes, all its attempts together, and what the table will take at that rate."""

    rows: int
    sampled: int
    model: str
    concurrency: int
    tokens_in: Mean
    tokens_out: Mean
    answers: Mean
    seconds: Mean
    """Waiting for answers, of one row."""
    money: Mean
    abnormal: Share
    """First answers with something wrong."""
    unanswered: int
    """Sampled rows without any answer."""
    hours: Mean
    """Of the whole table, if the servers stay as fast with `concurrency` questions at once."""
    rows_in_budget: int | None
    """How many rows the budget pays for at this rate; none: there is no budget."""

    @property
    def tokens(self) -> Mean:
        """Of the whole table, questions and answers together."""
        both = Mean(
            *(taken + given for taken, given in zip(_parts(self.tokens_in), _parts(self.tokens_out), strict=True))
        )
        return both.times(self.rows)

    @property
    def answers_per_hour(self) -> float:
        """At the recipe's concurrency, with the latency of the sample."""
        return self.concurrency * 3600 * self.answers.value / self.seconds.value if self.seconds.value else 0.0


def _parts(mean: Mean) -> tuple[float, float, float]:
    return mean.value, mean.low, mean.high


def estimate_captions(
    stage: CaptionStage, tables: StageTables, *, num_rows: int, progress: Progress
) -> CaptionEstimate:
    """Ask about a few rows, drawn by chance, and say what all rows will cost.

    Raises:
        TeacherError: the teacher is not there, refuses, or the budget does not last for these rows.
    """
    paths = tables.kept_paths()
    stage.prepare(paths)
    drawn = draw(paths, num_rows=num_rows)
    with bar(progress, "estimate", drawn.num_rows) as advance:
        answers = stage.ask_rows(drawn, advance)
    with Journal(stage.journal) as journal:
        entries = [journal.attempts(each.key) for each in answers]
    return build_estimate(entries, answers, section=stage.section, rows=tables.num_kept())


def draw(paths: Iterable[Path], *, num_rows: int) -> pa.Table:
    """So many rows of fetched tables, each with the same chance, always the same ones."""
    with open_database() as database:
        parameters = {"files": [str(path) for path in paths], "num_rows": num_rows}
        drawn = database.sql(_DRAW, params=parameters).to_arrow_table()
    assert drawn is not None
    return drawn.cast(SCHEMAS["fetch"])


def build_estimate(
    entries: Sequence[Sequence[dict[str, Any]]], answers: Sequence[Answers], *, section: CaptionSection, rows: int
) -> CaptionEstimate:
    """From the journal's answers to each sampled row."""
    asked = [row for row in entries if row]
    tokens = np.array([np.sum([tokens_of(entry["usage"]) for entry in row], axis=0) for row in asked]).reshape(-1, 2)
    seconds = mean([sum(entry["latency_ms"] for entry in row) / 1000 for row in asked])
    cost = mean([money(taken, given, section) for taken, given in tokens])
    concurrency = section.teacher.concurrency
    return CaptionEstimate(
        rows=rows,
        sampled=len(entries),
        model=", ".join(sorted({answer.model for each in answers for answer in each.answers})),
        concurrency=concurrency,
        tokens_in=mean(tokens[:, 0]),
        tokens_out=mean(tokens[:, 1]),
        answers=mean([len(row) for row in asked]),
        seconds=seconds,
        money=cost,
        abnormal=wilson(sum(bool(row[0]["problems"]) for row in asked), len(asked)),
        unanswered=len(entries) - len(asked),
        hours=seconds.times(rows / concurrency / 3600),
        rows_in_budget=_rows_in_budget(section, float(tokens.sum(axis=1).mean()) if asked else 0.0, cost.value),
    )


def as_line(found: CaptionEstimate) -> str:
    """One line for the beginning of a long run."""
    million, hours, money = found.tokens.times(1e-6), found.hours, found.money.times(found.rows)
    cost = f", {money.value:,.2f} ({money.low:,.2f} to {money.high:,.2f}) at the recipe's prices" if money.value else ""
    return (
        f"by {found.sampled} rows, {found.rows:,} will take about {million.value:,.1f} million tokens "
        f"({million.low:,.1f} to {million.high:,.1f}){cost} and {hours.value:,.1f} hours ({hours.low:,.1f} to "
        f"{hours.high:,.1f}) with {found.concurrency} questions at once"
    )


def mean(values: Sequence[float] | np.ndarray[Any, Any]) -> Mean:
    """Of a few rows; one row alone bounds nothing, so its interval reaches from zero to infinity."""
    number = len(values)
    if number == 0:
        return Mean(0.0, 0.0, float("inf"))
    value = float(np.mean(values))
    if number == 1:
        return Mean(value, 0.0, float("inf"))
    half = float(stdtrit(number - 1, 0.5 + CONFIDENCE / 2)) * float(np.std(values, ddof=1)) / number**0.5
    return Mean(value, max(0.0, value - half), value + half)


def _rows_in_budget(section: CaptionSection, tokens: float, cost: float) -> int | None:
    budget = section.budget
    limits = []
    if budget.max_tokens is not None and tokens:
        limits.append(budget.max_tokens / tokens)
    if budget.max_money is not None and cost:
        limits.append(budget.max_money / cost)
    return int(min(limits)) if limits else None
