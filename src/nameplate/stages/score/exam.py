"""The exam: which rows are asked about, with which questions, and which names there are. The same for all models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nameplate.errors import InputError
from nameplate.models.prompts import Prompts
from nameplate.models.respondent import Question
from nameplate.names import Registry
from nameplate.recipe import PromptName, ScoreSection
from nameplate.records import SplitName
from nameplate.stages.score.memorisation import sample_rows
from nameplate.stages.score.rejudging import SHOWN, outside
from nameplate.stages.score.subjects import EvaluationRow, read_held_out, read_rows, train_names
from nameplate.store.rundir import RunDirectory

MOST_NAMES: Final = 1_000
"""To choose among; with more, every image would cost as much as hundreds of answers."""


@dataclass(frozen=True)
class Exam:
    """What models are asked."""

    headline: PromptName
    """Name of the question that decides."""
    questions: Prompts
    """By name, the headline first."""
    rows: dict[SplitName, list[EvaluationRow]]
    """By split; of training the sample that the headline question is asked about."""
    taught: Counter[str]
    """Training rows by name, all of them."""

    @property
    def names(self) -> list[str]:
        """All names of the split table, in order."""
        return sorted(self.taught.keys() | {row.name for own in self.rows.values() for row in own})

    def questions_of(self, split: SplitName) -> Prompts:
        """What is asked about the rows of a split: about training rows the headline alone."""
        return {self.headline: self.questions[self.headline]} if split == "train" else self.questions

    def asked(self, split: SplitName) -> list[Question]:
        """Every question about every row of a split."""
        return [Question(row.image, text) for row in self.rows[split] for text in self.questions_of(split).values()]


def set_exam(section: ScoreSection, *, run: RunDirectory, registry: Registry, prompts: Prompts) -> Exam:
    """Read the rows of a run's split.

    Raises:
        InputError: validation or test is empty, or has a name that the registry does not know.
    """
    held_out, taught = read_held_out(run), train_names(run)
    _check_names(held_out, registry)
    validation = [row for row in held_out if row.split == "validation"]
    drawn = sample_rows(taught, like=Counter(row.name for row in validation), num_rows=section.train_rows)
    return Exam(
        headline=section.headline,
        questions={prompt: prompts[prompt] for prompt in (section.headline, *section.prompts)},
        rows={
            "train": read_rows(run, "train", only=drawn),
            "validation": validation,
            "test": [row for row in held_out if row.split == "test"],
        },
        taught=Counter(taught.values()),
    )


def why_not_choose(names: Sequence[str]) -> str:
    """Why nobody is asked to choose among these names; "": they can be."""
    if len(names) < 2:
        return "Nobody was asked to choose among names: there is only one."
    if len(names) > MOST_NAMES:
        return (
            f"Nobody was asked to choose among the {len(names):,} names (score.closed_set): with more than "
            f"{MOST_NAMES:,} that takes too long."
        )
    return ""


def _check_names(rows: Sequence[EvaluationRow], registry: Registry) -> None:
    unknown = outside((row.name for row in rows), registry)
    if unknown:
        shown = ", ".join(f"'{name}' ({count:,})" for name, count in list(unknown.items())[:SHOWN])
        more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
        raise InputError(
            "name registry",
            found=f"{sum(unknown.values()):,} rows of validation and test have names that it lacks: {shown}{more}",
            fix="run ingest again, or add the names to name.registry",
        )
