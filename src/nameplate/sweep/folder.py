"""The sweep's folder: what its members share, a run for each trial, and the leaderboard."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nameplate.errors import RunDirectoryError
from nameplate.recipe import Recipe, dump_recipe
from nameplate.store.files import explaining_disk_errors, write_text
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory
from nameplate.sweep.members import Trial

ORPHAN_SECONDS = 60.0
"""How long to wait for a trial of a sweep that was killed: it ends as soon as it notices."""


class SweepFolder:
    """Paths of one sweep.

    Args:
        root: the folder; everything lies in it, except a store that the recipe names.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        with explaining_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)

    @property
    def summary_path(self) -> Path:
        """The leaderboard, every number."""
        return self.root / "sweep.json"

    @property
    def page_path(self) -> Path:
        """The leaderboard's page."""
        return self.root / "sweep.html"

    def recipe_path(self, trial: Trial) -> Path:
        """The trial's recipe, every field written out; `nameplate run` takes it."""
        return self.root / "recipes" / f"{trial.key}.yaml"

    def write_recipe(self, trial: Trial) -> Recipe:
        """Write the trial's recipe, with the shared store, and return it so."""
        recipe = self.with_store(trial.recipe)
        write_text(self.recipe_path(trial), dump_recipe(recipe))
        return recipe

    def log_path(self, trial: Trial) -> Path:
        """What the trial's process wrote to its standard error."""
        return self.root / "logs" / f"{trial.key}.log"

    def run_root(self, trial: Trial) -> Path:
        """The trial's run directory."""
        return self.root / "runs" / trial.key

    def command_of(self, trial: Trial) -> str:
        """What a person types to run one trial by itself."""
        return shlex.join(["nameplate", "run", str(self.recipe_path(trial)), "--run-dir", str(self.run_root(trial))])

    def data_root(self, recipe: Recipe) -> Path:
        """The run directory of everything before training, shared by all trials that agree on it."""
        parts = (recipe.table, recipe.name, recipe.fetch, recipe.caption, recipe.clean, recipe.split)
        return self.root / "data" / fingerprint(*parts)[:12]

    def with_store(self, recipe: Recipe) -> Recipe:
        """The recipe with a store that all trials share."""
        return recipe if recipe.store is not None else recipe.model_copy(update={"store": str(self.root / "store")})

    def open_run(self, root: Path, recipe: Recipe) -> RunDirectory:
        """A run directory of this sweep."""
        store = self.with_store(recipe).store
        assert store is not None
        return RunDirectory(root, store=Path(store), wait_seconds=ORPHAN_SECONDS)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sweep; a second process is refused.

        Raises:
            RunDirectoryError: another process holds it.
        """
        lock = FileLock(self.root / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunDirectoryError(
                str(self.root),
                found="another nameplate process is running this sweep",
                fix="wait for it to end, or give another folder with --folder",
            ) from None
        try:
            yield
        finally:
            lock.release()
