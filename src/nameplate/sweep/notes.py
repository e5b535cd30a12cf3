"""What must be known to believe a leaderboard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nameplate.sweep.finished import Finished
from nameplate.sweep.results import MemberRow, Standing


def notes_of(rows: Sequence[MemberRow], done: Sequence[Finished], *, jobs: int, reference: str) -> list[str]:
    """Sentences, most important first."""
    return [*_standing(rows, reference), *_looks(done), *_seeds(rows), *_circumstances(done, jobs)]


def _standing(rows: Sequence[MemberRow], reference: str) -> Iterator[str]:
    trials = [trial for row in rows for trial in row.trials]
    waiting = sum(trial.standing is Standing.WAITING for trial in trials)
    failed = sum(trial.standing is Standing.FAILED for trial in trials)
    if waiting:
        yield f"{waiting} of {len(trials)} trainings are still to be run; the same command continues."
    if failed:
        yield (
            f"{failed} of {len(trials)} trainings failed; their reasons stand beside them, and the same command tries "
            "them again from their last checkpoints."
        )
    if not any(row.done for row in rows if row.member == reference) and any(row.done for row in rows):
        yield f"{reference}, which the others are to be compared with, has no result."
    others = [row.member for row in rows if row.remark and any(each.done for each in rows if each.member == reference)]
    if others:
        yield f"Not compared, because their images, question or rules of judging are others: {', '.join(others)}."


def _looks(done: Sequence[Finished]) -> Iterator[str]:
    looks = sum(each.looks for each in done)
    if not looks:
        return
    times = "once" if looks == 1 else f"{looks} times"
    why = "once for each trained model" if looks == len(done) else f"for {len(done)} trainings, each with checkpoints"
    yield f"The test split was read {times}, {why}; nothing was chosen on it."
    yield "Whoever picks another member after reading the test column has no unseen test any more."


def _seeds(rows: Sequence[MemberRow]) -> Iterator[str]:
    most = max((len(row.done) for row in rows), default=0)
    if most == 1:
        yield (
            "Every member was trained once. The intervals count the chance of drawing these test images, not that of "
            "training again with another seed."
        )
    spreads = {
        row.member: max(shares) - min(shares)
        for row in rows
        if len(shares := [trial.test.value for trial in row.done if trial.test is not None]) > 1
    }
    if spreads:
        widest = max(spreads, key=lambda name: spreads[name])
        yield (
            f"Between seeds of one member the test accuracy differs by up to {100 * spreads[widest]:.1f} points "
            f"({widest}); the intervals count the chance of drawing these test images, not that of seeds."
        )


def _circumstances(done: Sequence[Finished], jobs: int) -> Iterator[str]:
    if jobs > 1:
        yield f"Up to {jobs} trainings ran side by side on one machine, so their times are not those of a quiet one."
    if any(each.summary.simulated_teacher for each in done):
        yield (
            "The captions were written by a simulator that knows the truth: this shows how the policies differ on "
            "these data, not how well a real teacher sees."
        )
