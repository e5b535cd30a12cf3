"""The engine: which shards are under way, how far they are, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayError

import nameplate
from nameplate.engine.base import Shard, ShardStage, StageOutcome, complete, unfinished
from nameplate.engine.ray import cluster
from nameplate.engine.ray.keepers import Handle, answer_of, kept, serving
from nameplate.engine.ray.task import REPORT_SECONDS, Counts, Job, Place, beacons, run_task
from nameplate.progress import Advance, Progress, bar
from nameplate.store.tables import StageTables

STOP_SECONDS: Final = 10.0


class RayEngine:
    """Runs each shard as one Ray task. Use as `with RayEngine() as engine`: Ray starts with the first stage.

    A task whose worker dies is tried again; finished shards are kept, and read by the next run whatever its engine.

    Args:
        address: of a cluster that is there (`HOST:PORT`, `ray://HOST:PORT`, `auto`); none: Ray starts on this machine.
        num_cpus: shards at once on this machine when Ray starts here; none: one for each core.
        max_retries: how often a shard is tried again after its worker died.
    """

    def __init__(self, address: str | None = None, *, num_cpus: int | None = None, max_retries: int = 3) -> None:
        self._address = address
        self._num_cpus = num_cpus
        self._max_retries = max_retries
        self._connected = False

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; a Ray of our own ends."""
        if self._connected:
            ray.shutdown()
            self._connected = False

    def run(
        self,
        stage: ShardStage,
        inputs: Iterable[Shard],
        *,
        tables: StageTables,
        progress: Progress,
        total: int | None = None,
    ) -> StageOutcome:
        """Run `stage` over `inputs` and write `tables`; see `Engine.run`.

        Raises:
            EngineError: Ray cannot be reached, a worker does not see the run's files, or died too often.
        """
        assert stage.distributes, f"{stage.name} runs in one process only"
        with bar(progress, stage.name, total) as advance:
            shards = unfinished(inputs, tables, advance)
            first = next(shards, None)
            if first is not None:
                self._connect()
                self._run_shards(stage, chain([first], shards), tables, advance)
        return complete(stage, tables)

    def _connect(self) -> None:
        if not self._connected:
            if self._address is None:
                cluster.start(self._num_cpus)
            else:
                cluster.join(self._address)
            self._connected = True

    def _run_shards(self, stage: ShardStage, shards: Iterable[Shard], tables: StageTables, advance: Advance) -> None:
        folders = [tables.folder, *stage.folders()]
        with beacons(folders) as seen, kept({"counts": Counts}) as counts, serving(stage) as services:
            job = ray.put(Job(stage, tables, services, counts["counts"]))
            place = Place(nameplate.__version__, str(Path.cwd()), seen, (job,))
            task: Any = ray.remote(run_task)
            task = task.options(num_cpus=1, max_retries=self._max_retries)
            running = _Running(stage.name, rows=_Rows(advance, counts["counts"]))
            try:
                for shard in shards:
                    running.add(task.remote(place, shard), shard.index)
                    running.wait_until_under(2 * _num_cpus())
                running.wait_until_under(1)
            except BaseException:
                running.stop()
                raise


class _Rows:
    """Shows rows done; a shard that is begun anew does not set the bar back."""

    def __init__(self, advance: Advance, counts: Handle) -> None:
        self._advance = advance
        self._counts = counts
        self._finished = 0
        self._shown = 0

    def finished(self, rows: int) -> None:
        """Count a whole shard."""
        self._finished += rows
        self._show(self._finished)

    def look(self) -> None:
        """Count what the workers have said of shards that still run."""
        self._show(answer_of(self._counts.ask.remote("total"), "progress"))

    def _show(self, rows: int) -> None:
        if rows > self._shown:
            self._advance(rows - self._shown)
            self._shown = rows


class _Running:
    """The tasks under way; never more than a few for each core, so that ten thousand shards cost no memory."""

    def __init__(self, stage: str, *, rows: _Rows) -> None:
        self._stage = stage
        self._rows = rows
        self._shards: dict[Any, int] = {}

    def add(self, task: Any, index: int) -> None:
        """Note a task."""
        self._shards[task] = index

    def wait_until_under(self, limit: int) -> None:
        """Wait until fewer than `limit` are under way; a failed one raises its own error."""
        while len(self._shards) >= limit:
            done, _ = ray.wait(list(self._shards), num_returns=1, timeout=REPORT_SECONDS)
            for task in done:
                index = self._shards.pop(task)
                self._rows.finished(answer_of(task, f"{self._stage}, shard {index}"))
            if not done:
                self._rows.look()

    def stop(self) -> None:
        """End all at once; a shard is written whole or not at all."""
        if not self._shards:
            return
        with suppress(RayError):
            for task in self._shards:
                ray.cancel(task, force=True)
            ray.wait(list(self._shards), num_returns=len(self._shards), timeout=STOP_SECONDS)


def _num_cpus() -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    return max(1, int(resources.get("CPU", 1)))
