"""What a finished trial has left behind: its numbers, and what it answered to which image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from nameplate.errors import InputError
from nameplate.records import SplitName
from nameplate.stages.score import read_right
from nameplate.statistics import PairedComparison, compare_pairs
from nameplate.store.rundir import RunDirectory
from nameplate.summary import CheckpointScores, Proportion, RunSummary
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.members import Trial


@dataclass(frozen=True)
class Finished:
    """A trial with a result."""

    trial: Trial
    run: RunDirectory
    summary: RunSummary

    @property
    def scores(self) -> CheckpointScores:
        """Those of the chosen checkpoint."""
        score = self.summary.score
        return next(each for each in score.checkpoints if each.name == score.selected)

    def accuracy(self, split: SplitName) -> Proportion:
        """Of the chosen checkpoint, asked the headline question."""
        return self.scores.metrics[split][self.summary.score.headline].accuracy

    @cached_property
    def test(self) -> dict[str, bool]:
        """Whether the chosen checkpoint was right, by test row."""
        return self._right("test")

    @cached_property
    def validation(self) -> dict[str, bool]:
        """Likewise of validation."""
        return self._right("validation")

    @cached_property
    def groups(self) -> dict[str, str]:
        """The product of each row."""
        table = self.run.tables("split").read_kept().select(["row_id", "group_id"])
        return dict(zip(table["row_id"].to_pylist(), table["group_id"].to_pylist(), strict=True))

    @property
    def looks(self) -> int:
        """Trained checkpoints that the test split was read for."""
        return sum("test" in each.metrics for each in self.summary.score.checkpoints if each.epoch > 0)

    def _right(self, split: SplitName) -> dict[str, bool]:
        score = self.summary.score
        return read_right(self.run, checkpoint=score.selected, split=split, prompt=score.headline)


def read_finished(trial: Trial, folder: SweepFolder) -> Finished:
    """The result of a trial that is done.

    Raises:
        InputError: another version of this program wrote it.
    """
    run = folder.open_run(folder.run_root(trial), trial.recipe)
    try:
        summary = RunSummary.model_validate_json(run.summary_path.read_bytes())
    except ValidationError:
        raise InputError(
            str(run.summary_path),
            found="not a summary of this version",
            fix=f"delete {run.root}, and sweep again",
        ) from None
    return Finished(trial, run, summary)


def compare_members(reference: Sequence[Finished], member: Sequence[Finished]) -> PairedComparison | None:
    """Two members on the same test images, seed beside seed; none: they were not asked about the same images.

    Answers of several seeds to one image stand or fall together with its product: more seeds are no more images.
    """
    before: list[bool] = []
    after: list[bool] = []
    groups: list[str] = []
    for one, other in _pairs(reference, member):
        if not are_comparable(one, other):
            return None
        for row, right in one.test.items():
            before.append(right)
            after.append(other.test[row])
            groups.append(one.groups[row])
    return compare_pairs(before, after, groups=groups) if before else None


def are_comparable(one: Finished, other: Finished) -> bool:
    """Whether two trials were asked the same about the same images, and judged by the same rules."""
    return (
        one.summary.score.headline == other.summary.score.headline
        and one.summary.score.matcher == other.summary.score.matcher
        and one.test.keys() == other.test.keys()
        and one.validation.keys() == other.validation.keys()
    )


def _pairs(reference: Sequence[Finished], member: Sequence[Finished]) -> list[tuple[Finished, Finished]]:
    same = [(one, other) for one in reference for other in member if one.trial.seed == other.trial.seed]
    # Members that differ in their seeds alone have none in common.
    return same or list(zip(reference, member, strict=False))
