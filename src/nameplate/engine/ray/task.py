"""What a Ray task does: find its place, run one shard, and say how far it is."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray

import nameplate
from nameplate.engine.base import Shard, ShardStage, rows_of, run_one_shard
from nameplate.engine.ray.keepers import Handle, RayServices
from nameplate.errors import EngineError
from nameplate.store.tables import StageTables

REPORT_SECONDS: Final = 0.5
_BEACON: Final = ".seen-by-workers-"


@dataclass(frozen=True)
class Job:
    """What all tasks of a stage need; it goes to each machine once."""

    stage: ShardStage
    tables: StageTables
    services: RayServices
    counts: Handle


@dataclass(frozen=True)
class Place:
    """What a task checks before it unpacks its job, which another version or another disk could not do."""

    version: str
    home: str
    beacons: tuple[Path, ...]
    job: tuple[Any]
    """A reference, in a tuple so that Ray does not unpack it before we do."""


class Counts:
    """How far each shard is. A shard that is begun anew starts from nothing."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}

    async def put(self, index: int, rows: int) -> None:
        """Say how far a shard is."""
        self._rows[index] = rows

    async def total(self) -> int:
        """Rows done, over all shards."""
        return sum(self._rows.values())


def run_task(place: Place, shard: Shard) -> int:
    """Run one shard on this machine, and return its number of rows.

    Raises:
        EngineError: this machine has another version, or does not see the run's files.
    """
    _check(place)
    job: Job = ray.get(place.job[0])
    # An earlier try may have been killed between its last write and its answer.
    if not job.tables.is_finished(shard.index):
        job.stage.serve(job.services)
        try:
            run_one_shard(job.stage, shard, job.tables, _Reporter(job.counts, shard.index))
        finally:
            job.stage.close()
    return rows_of(job.tables, shard.index)


@contextmanager
def beacons(folders: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Put a file with a fresh name into each folder: who sees it, sees the very same folder."""
    made: list[Path] = []
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            for left_behind in folder.glob(f"{_BEACON}*"):
                left_behind.unlink(missing_ok=True)
            made.append(folder / f"{_BEACON}{uuid.uuid4().hex}")
            made[-1].touch()
        yield tuple(made)
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _check(place: Place) -> None:
    where = f"worker on {socket.gethostname()}"
    if place.version != nameplate.__version__:
        found = f"nameplate {nameplate.__version__}"
        raise EngineError(where, found=found, expected=place.version, fix="install one version on all machines")
    # Relative paths mean what they mean to the driver; where its folder is not here, absolute ones may still be.
    with suppress(OSError):
        os.chdir(place.home)
    for beacon in place.beacons:
        if not beacon.exists():
            raise EngineError(
                where,
                found=f"the driver's folder {beacon.parent} is not visible here",
                expected="one file system for the driver and all workers, at the same path",
                fix="put the run directory (--run-dir) and the store (store:) on a shared file system",
            )


class _Reporter:
    """Counts a shard's rows, and tells the driver from time to time."""

    def __init__(self, counts: Handle, index: int) -> None:
        self._counts = counts
        self._index = index
        self._rows = 0
        self._told = time.monotonic()

    def __call__(self, steps: int) -> None:
        self._rows += steps
        now = time.monotonic()
        if now - self._told >= REPORT_SECONDS:
            self._told = now
            self._counts.ask.remote("put", self._index, self._rows)
