"""The run directory: where everything of one experiment lies, held by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nameplate.errors import RunDirectoryError
from nameplate.records import StageName
from nameplate.store.files import explaining_disk_errors
from nameplate.store.images import ImageStore
from nameplate.store.manifest import Manifest
from nameplate.store.tables import StageTables


class RunDirectory:
    """Paths and stores of one run.

    Args:
        root: the run directory itself.
        store: folder for what may be shared between runs (images, journals); none: `root/store`.
    """

    def __init__(self, root: Path, *, store: Path | None = None) -> None:
        self.root = root
        self.store = store if store is not None else root / "store"
        with explaining_disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            self.store.mkdir(parents=True, exist_ok=True)
        self.manifest = Manifest(root / "manifest.json")

    @property
    def images(self) -> ImageStore:
        """Fetched images, by content."""
        return ImageStore(self.store / "images")

    @property
    def fetch_journal(self) -> Path:
        """Journal of links."""
        return self.store / "fetch.sqlite"

    @property
    def teacher_journal(self) -> Path:
        """Journal of the teacher's answers."""
        return self.store / "teacher.sqlite"

    @property
    def prediction_journal(self) -> Path:
        """Journal of models' answers."""
        return self.store / "predictions.sqlite"

    @property
    def registry_path(self) -> Path:
        """The names that this run knows, written by `ingest`."""
        return self.folder("ingest") / "registry.json"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints: ordinary Hugging Face folders `epoch-05`, ..."""
        return self.root / "checkpoints"

    @property
    def summary_path(self) -> Path:
        """Every number of the report."""
        return self.root / "summary.json"

    @property
    def report_path(self) -> Path:
        """The page."""
        return self.root / "report.html"

    @property
    def audit_path(self) -> Path:
        """What the last audit found."""
        return self.root / "audit" / "audit.json"

    def folder(self, stage: StageName) -> Path:
        """A stage's own folder."""
        return self.root / stage

    def tables(self, stage: StageName) -> StageTables:
        """A stage's shards."""
        return StageTables(self.folder(stage), stage)

    def set_aside_training(self) -> None:
        """Move checkpoints of other settings to `superseded/`: GPU time is never thrown away by an edit."""
        if not self.checkpoints.exists() or not any(self.checkpoints.iterdir()):
            return
        number = 1 + sum(1 for _ in self._superseded.glob("*")) if self._superseded.exists() else 1
        with explaining_disk_errors(self.root):
            self._superseded.mkdir(exist_ok=True)
            self.checkpoints.rename(self._superseded / f"{number:03d}-checkpoints")

    @property
    def _superseded(self) -> Path:
        return self.root / "superseded"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run directory, and the store it shares; a second process is refused.

        Raises:
            RunDirectoryError: another process holds it.
        """
        holder = self.root / ".lock"
        lock = FileLock(holder, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunDirectoryError(
                str(self.root),
                found="another nameplate process is using this run directory",
                fix="wait for it to end, or give another directory with --run-dir",
            ) from None
        try:
            yield
        finally:
            lock.release()
