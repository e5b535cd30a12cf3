"""The run directory: where everything of one experiment lies, held by one process at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nameplate.errors import RunDirectoryError
from nameplate.records import STAGES, StageName
from nameplate.store.files import explaining_disk_errors
from nameplate.store.images import ImageStore
from nameplate.store.manifest import Manifest
from nameplate.store.tables import StageTables


class RunDirectory:
    """Paths and stores of one run.

    Args:
        root: the run directory itself.
        store: folder for what may be shared between runs (images, journals); none: `root/store`.
        wait_seconds: how long to wait for another process that holds it.
    """

    def __init__(self, root: Path, *, store: Path | None = None, wait_seconds: float = 0.0) -> None:
        self.root = root
        self.wait_seconds = wait_seconds
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
    def prefix(self) -> Path:
        """What frozen parts of models have computed, by way of computing."""
        return self.store / "prefix"

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

    @property
    def probe_path(self) -> Path:
        """What the last probe found."""
        return self.root / "probe" / "probe.json"

    @property
    def leaks_path(self) -> Path:
        """What the last leak audit found."""
        return self.root / "leaks" / "leaks.json"

    @property
    def looks(self) -> Path:
        """What models make of images, as vectors."""
        return self.store / "looks"

    @property
    def test_looks(self) -> Path:
        """Which models were judged on which test set, one file each."""
        return self.store / "test-looks"

    @property
    def thumbnails(self) -> Path:
        """Images as pages show them, by content and size."""
        return self.store / "thumbnails"

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

    def take_over(self, stage: StageName, donor: RunDirectory, fingerprint: str) -> bool:
        """Have what another run has made of the same inputs in a stage before `train`; says whether it had it.

        Files are linked, and copied where the file system has no links: nobody changes a finished file in place.
        """
        # From `train` on a stage is more than its folder.
        if STAGES.index(stage) >= STAGES.index("train") or not donor.manifest.is_done(stage, fingerprint):
            return False
        with explaining_disk_errors(self.root):
            shutil.rmtree(self.folder(stage), ignore_errors=True)
            shutil.copytree(donor.folder(stage), self.folder(stage), copy_function=_link)
        self.manifest.put(stage, donor.manifest.stages[stage])
        return True

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
        lock = FileLock(holder, timeout=self.wait_seconds)
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


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
