"""One trial in a process of its own: `python -m nameplate.sweep.trial JOB`.

A process of its own, so that one that runs out of memory takes nothing with it, and so that its peak is its own. It
ends when its standard input closes: the sweep has ended, in whatever way. A run can be killed at any moment.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from nameplate.errors import NameplateError
from nameplate.models.locate import first_line
from nameplate.pipeline import Pipeline
from nameplate.recipe import load_recipe
from nameplate.store.rundir import RunDirectory
from nameplate.sweep.events import Teller
from nameplate.sweep.folder import ORPHAN_SECONDS
from nameplate.sweep.results import Failure, FailureKind


class Job(BaseModel):
    """What the process is told to run."""

    model_config = ConfigDict(frozen=True)

    recipe: Path
    root: Path
    """The trial's run directory."""
    data: Path
    """The run directory whose stages before training are taken over."""
    command: str


def run_job(job: Job, teller: Teller) -> None:
    """Run the trial's recipe from shared splits to its report."""
    recipe = load_recipe(job.recipe)
    assert recipe.store is not None, "the sweep gives every trial the shared store"
    store = Path(recipe.store)
    run = RunDirectory(job.root, store=store, wait_seconds=ORPHAN_SECONDS)
    donors = [RunDirectory(job.data, store=store)]
    Pipeline(recipe, run, progress=teller, command=job.command, donors=donors).run()


def main() -> int:
    """Run the job given as the only argument; say on the standard output how it goes.

    Returns:
        0 when it is done, 2 after a failure that was told.
    """
    # What a library prints must not come between the events: it goes to the log.
    teller = Teller(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    try:
        run_job(Job.model_validate_json(sys.argv[1]), teller)
    except NameplateError as error:
        teller.fail(Failure(kind=FailureKind.ERROR, text=str(error)))
        return 2
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        teller.fail(Failure(kind=FailureKind.OUT_OF_MEMORY, text=first_line(error)))
        return 2
    return 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was asked for that is not there. torch is not imported to find out: it may never have been."""
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    # torch's own allocator for the host's memory has no exception of its own.
    return isinstance(error, MemoryError) or named or "you tried to allocate" in str(error)


def _end_with_the_sweep() -> None:
    # Not by `sys.stdin`, whose lock a thread must not hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
