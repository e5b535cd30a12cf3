"""From finished trials to the leaderboard: chosen on validation, compared on test, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nameplate import __version__
from nameplate.statistics import PairedComparison, holm, in_words
from nameplate.statistics.proportions import wilson_bounds
from nameplate.summary import Proportion
from nameplate.sweep.checks import Parts
from nameplate.sweep.choice import choose
from nameplate.sweep.finished import Finished, compare_members, read_finished
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.members import SweepPlan, Trial
from nameplate.sweep.notes import notes_of
from nameplate.sweep.results import Failure, MemberComparison, MemberRow, Standing, SweepSummary, TrialResult
from nameplate.sweep.words import policy_words

Ended = Mapping[str, Failure | None]
"""By trial that has ended: why it failed, if it did."""


def build_leaderboard(
    plan: SweepPlan, folder: SweepFolder, parts: Parts, *, ended: Ended, jobs: int, command: str
) -> SweepSummary:
    """Everything that is known of a sweep now.

    Args:
        plan: the members.
        folder: where their runs lie.
        parts: what learns, by member.
        ended: the trials that have ended, by name, with their failure if they failed.
        jobs: trials side by side.
        command: what a person types to run this again.
    """
    results = {name: _Member(plan.of(name), folder, ended) for name in plan.changes}
    finished = {name: member.finished for name, member in results.items()}
    compared = compare_all(finished, plan.reference)
    rows = [_row(name, plan, results[name], parts, compared, plan.reference) for name in plan.changes]
    rows.sort(key=rank_of)
    done = [each for own in finished.values() for each in own]
    choice = choose(finished, rows, plan.reference)
    return SweepSummary(
        nameplate=__version__,
        title=plan.sweep.title,
        recipe=str((plan.path.parent / plan.sweep.recipe).resolve()),
        command=command,
        reference=plan.reference,
        headline=plan.trials[0].recipe.score.headline,
        base=_base(results[plan.reference].finished or done),
        rows=rows,
        chosen=choice.member,
        choice=choice.sentence,
        num_compared=len(compared),
        looks=sum(each.looks for each in done),
        notes=notes_of(rows, done, jobs=jobs, reference=plan.reference),
    )


class _Member:
    """One member's trials, finished or not."""

    def __init__(self, trials: Sequence[Trial], folder: SweepFolder, ended: Ended) -> None:
        done = {
            trial.key: read_finished(trial, folder)
            for trial in trials
            if trial.key in ended and ended[trial.key] is None
        }
        self.finished = list(done.values())
        self.results = [_result(trial, done.get(trial.key), ended.get(trial.key), folder) for trial in trials]


@dataclass(frozen=True)
class Compared:
    """A member beside the reference, as one of several."""

    pairs: PairedComparison
    adjusted: float
    num_compared: int


def compare_all(finished: Mapping[str, Sequence[Finished]], reference: str) -> dict[str, Compared]:
    """Every member that can be compared with the reference; p-values adjusted by Holm for all of them.

    Args:
        finished: trials with a result, by member.
        reference: one of the members.
    """
    found = {
        name: pairs
        for name, own in finished.items()
        if name != reference and (pairs := compare_members(finished[reference], own)) is not None
    }
    adjusted = holm([pairs.p_value for pairs in found.values()])
    return {
        name: Compared(pairs, p_value, len(found))
        for (name, pairs), p_value in zip(found.items(), adjusted, strict=True)
    }


def _row(
    name: str,
    plan: SweepPlan,
    member: _Member,
    parts: Parts,
    compared: Mapping[str, Compared],
    reference: str,
) -> MemberRow:
    comparison = compared.get(name)
    missed = name != reference and comparison is None and member.finished
    return MemberRow(
        member=name,
        changes=dict(plan.changes[name]),
        policies={part: policy_words(policy) for part, policy in plan.of(name)[0].recipe.train.policies().items()},
        parts=member.finished[0].summary.train.components if member.finished else parts[name],
        trials=member.results,
        validation=over_seeds([each.accuracy("validation") for each in member.finished]),
        test=over_seeds([each.accuracy("test") for each in member.finished]),
        comparison=_comparison(comparison, name, reference, member) if comparison is not None else None,
        remark=f"no answers of {reference} to the same images" if missed else "",
    )


def _comparison(found: Compared, name: str, reference: str, member: _Member) -> MemberComparison:
    pairs, num_seeds = found.pairs, len(member.finished)
    sentence = in_words(
        pairs,
        before=reference,
        after=name,
        rows="test images" if num_seeds == 1 else f"answers to test images, {num_seeds} seeds together,",
        p_value=found.adjusted,
        num_comparisons=found.num_compared,
    )
    return MemberComparison(
        num_answers=pairs.n,
        num_seeds=num_seeds,
        fixed=pairs.fixed,
        regressed=pairs.regressed,
        difference=pairs.difference,
        low=pairs.low,
        high=pairs.high,
        p_value=pairs.p_value,
        adjusted=found.adjusted,
        outcome=pairs.outcome(found.adjusted),
        sentence=sentence,
    )


def _result(trial: Trial, done: Finished | None, failure: Failure | None, folder: SweepFolder) -> TrialResult:
    where = str(folder.run_root(trial).relative_to(folder.root))
    if done is None:
        standing = Standing.FAILED if failure is not None else Standing.WAITING
        return TrialResult(seed=trial.seed, standing=standing, folder=where, failure=failure)
    stage = done.summary.stages["train"]
    return TrialResult(
        seed=trial.seed,
        standing=Standing.DONE,
        folder=where,
        selected=done.summary.score.selected,
        validation=done.accuracy("validation"),
        test=done.accuracy("test"),
        looks=done.looks,
        train_seconds=stage.seconds,
        peak_memory_bytes=stage.peak_memory_bytes,
        cached_bytes=done.summary.train.kept_bytes,
        guards=done.scores.guards,
        base_guards=done.summary.score.checkpoints[0].guards,
    )


def over_seeds(shares: Sequence[Proportion]) -> Proportion | None:
    """The mean over seeds, with the interval that so many images give: seeds are no further images."""
    if not shares:
        return None
    count, n = sum(share.count for share in shares), sum(share.n for share in shares)
    low, high = wilson_bounds(count / n, n / len(shares))
    return Proportion(count=count, n=n, value=count / n, low=low, high=high)


def _base(done: Sequence[Finished]) -> Proportion | None:
    if not done:
        return None
    score = done[0].summary.score
    return score.checkpoints[0].metrics["test"][score.headline].accuracy


def rank_of(row: MemberRow) -> tuple[float, int]:
    """Best on validation first; of equals the one that learns fewer parameters."""
    return (-row.validation.value if row.validation is not None else 1.0, row.trainable)
