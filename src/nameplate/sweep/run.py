"""A sweep, from its plan to its leaderboard. Read `run_sweep` first."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

from nameplate.pipeline import Pipeline
from nameplate.progress import Progress
from nameplate.store.files import write_json
from nameplate.store.rundir import RunDirectory
from nameplate.sweep.checks import Parts, check_members
from nameplate.sweep.children import Ended, Started, run_children
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.leaderboard import build_leaderboard
from nameplate.sweep.members import SweepPlan, Trial
from nameplate.sweep.page import write_sweep_page
from nameplate.sweep.results import Failure, SweepSummary
from nameplate.sweep.trial import Job


class Runner(Protocol):
    """Runs trials in any order, and yields each as it ends."""

    def __call__(self, trials: Sequence[Started], *, jobs: int, progress: Progress) -> Generator[Ended, None, None]:
        """Close it to end those that run."""
        ...


def run_sweep(
    plan: SweepPlan,
    folder: SweepFolder,
    *,
    jobs: int,
    progress: Progress,
    command: str,
    runner: Runner = run_children,
) -> SweepSummary:
    """Run every trial that is not done, and write the leaderboard after each.

    What comes before training is done once. A trial that fails is recorded and the others go on. Called again, the
    sweep continues where it was, failed trials from their last checkpoint.

    Args:
        plan: the members.
        folder: of the sweep; held while it runs.
        jobs: trials side by side.
        progress: shows how far it is.
        command: what a person types to run this again; printed on the page.
        runner: runs the trials; each in a process of its own.

    Raises:
        NameplateError: members that cannot be, or nothing to train on; found before the first training.
    """
    parts = check_members(plan)
    with folder.locked():
        data = _prepare(plan, folder, progress)
        board = _Board(plan, folder, parts, jobs=jobs, command=command)
        board.ended |= {trial.key: None for trial in plan.trials if is_done(trial, folder)}
        waiting = [start_of(trial, folder, data[trial.key]) for trial in plan.trials if trial.key not in board.ended]
        summary = board.write()
        with closing(runner(waiting, jobs=jobs, progress=progress)) as ended:
            for number, trial in enumerate(ended, start=1):
                board.ended[trial.name] = trial.failure
                summary = board.write()
                said = f"failed ({trial.failure.kind}): {trial.failure.text}" if trial.failure else "done"
                progress.note(f"-- {trial.name} {said} [{number} of {len(waiting)}]")
        return summary


class _Board:
    """The leaderboard on disk, always of what is done."""

    def __init__(self, plan: SweepPlan, folder: SweepFolder, parts: Parts, *, jobs: int, command: str) -> None:
        self.plan = plan
        self.folder = folder
        self.parts = parts
        self.jobs = jobs
        self.command = command
        self.ended: dict[str, Failure | None] = {}

    def write(self) -> SweepSummary:
        """Count what is there, and write `sweep.json` and `sweep.html`."""
        summary = build_leaderboard(
            self.plan, self.folder, self.parts, ended=self.ended, jobs=self.jobs, command=self.command
        )
        write_json(self.folder.summary_path, summary.model_dump(mode="json"))
        write_sweep_page(summary, self.folder)
        return summary


def _prepare(plan: SweepPlan, folder: SweepFolder, progress: Progress) -> dict[str, RunDirectory]:
    """Bring the data of all trials up to their splits; by trial, where it lies. Returns with every recipe written."""
    prepared: dict[str, RunDirectory] = {}
    for trial in plan.trials:
        recipe = folder.write_recipe(trial)
        root = folder.data_root(recipe)
        if str(root) not in prepared:
            run = folder.open_run(root, recipe)
            donors = tuple(prepared.values())
            Pipeline(recipe, run, progress=progress, donors=donors).run(until="split")
            prepared[str(root)] = run
    return {trial.key: prepared[str(folder.data_root(trial.recipe))] for trial in plan.trials}


def start_of(trial: Trial, folder: SweepFolder, data: RunDirectory) -> Started:
    """What a process needs to run a trial whose data lie in `data`."""
    job = Job(
        recipe=folder.recipe_path(trial),
        root=folder.run_root(trial),
        data=data.root,
        command=folder.command_of(trial),
    )
    return Started(trial.key, job, folder.log_path(trial))


def is_done(trial: Trial, folder: SweepFolder) -> bool:
    """Whether a trial's run has nothing left to do."""
    if not (folder.run_root(trial) / "summary.json").exists():
        return False
    run = folder.open_run(folder.run_root(trial), trial.recipe)
    pipeline = Pipeline(folder.with_store(trial.recipe), run, command=folder.command_of(trial))
    wanted = pipeline.fingerprints(until="report")
    return all(run.manifest.is_done(stage, fingerprint) for stage, fingerprint in wanted.items())
