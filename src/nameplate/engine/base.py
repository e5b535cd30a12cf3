"""The one protocol between a row stage and whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.engine.services import LocalServices, Makers, Services
from nameplate.progress import Advance, Progress
from nameplate.records import SCHEMAS, StageName, rejected_schema
from nameplate.store.tables import StageTables

Moves = dict[str, tuple[str, str]]
"""Rows that only the whole table shows to be bad: `row_id -> (reason, detail)`."""


@dataclass(frozen=True)
class Shard:
    """One piece of a stage's input, loaded when its turn comes."""

    index: int
    load: Callable[[], pa.Table]

    @classmethod
    def of_file(cls, index: int, path: Path) -> Shard:
        """A shard that lies in a Parquet file."""
        return cls(index, partial(pq.read_table, path))


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard's rows: read = kept + rejected.

    `figures` are counts of how the work went (requests, latencies): written beside the shard, not into its tables, so
    that the tables depend on the rows alone.
    """

    kept: pa.Table
    rejected: pa.Table
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageOutcome:
    """What the manifest will say of a stage's rows."""

    read: int
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class ShardStage(ABC):
    """A row stage. Subclasses set `name` and write `run_shard`; the other hooks are for whole-table questions.

    A stage that `distributes` may be pickled after `prepare` and run in other processes: what it opens, it opens in
    `run_shard`, and what its workers must share, it reaches by `services`.
    """

    name: ClassVar[StageName]
    distributes: ClassVar[bool] = False
    """Whether shards may run in other processes, in any order."""
    shards_at_once: ClassVar[int] = 1
    """How many shards one process runs at once, in threads; more than one where a shard's last rows only wait."""
    _services: Services | None = None

    @property
    def services(self) -> Services:
        """What this worker shares with the others; of this process alone unless an engine says otherwise."""
        if self._services is None:
            self._services = LocalServices(self.shared())
        return self._services

    def serve(self, services: Services) -> None:
        """Be given the services of an engine, before the first shard."""
        self._services = services

    def __getstate__(self) -> dict[str, Any]:
        # What a process shares is its own; the engine gives the services of the other process to the copy there.
        return {**self.__dict__, "_services": None}

    def shared(self) -> Makers:
        """Objects of which all workers use one copy; their methods are coroutines."""
        return {}

    def journals(self) -> Sequence[Path]:
        """Journals that `run_shard` opens."""
        return ()

    def folders(self) -> Sequence[Path]:
        """Folders besides the tables' that `run_shard` reads or writes; every worker must see the same ones."""
        return ()

    def prepare(self, inputs: Sequence[Path]) -> None:  # noqa: B027  # a hook that most stages do not need
        """Look at all input shards before the first one runs."""

    @abstractmethod
    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Decide for each row; call `advance(n)` as rows get done. Must be repeatable after a crash."""

    def close(self) -> None:  # noqa: B027  # a hook that most stages do not need
        """Let go of what `run_shard` opened; shards that still run end with an error. May be called twice."""

    def second_look(self, tables: StageTables) -> Moves:
        """Reject kept rows that only the finished table shows to be bad."""
        return {}

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Write what belongs to the whole stage and return its own figures."""
        return {}

    def result(
        self,
        kept: Sequence[dict[str, Any]],
        rejected: Sequence[dict[str, Any]],
        figures: dict[str, Any] | None = None,
    ) -> ShardResult:
        """Build a result from rows as dicts; rejected ones carry `reason` and `detail`."""
        return ShardResult(
            pa.Table.from_pylist(list(kept), schema=SCHEMAS[self.name]),
            pa.Table.from_pylist(list(rejected), schema=rejected_schema(self.name)),
            figures or {},
        )


class Engine(Protocol):
    """Where the shards of a stage run."""

    def run(
        self, stage: ShardStage, inputs: Iterable[Shard], *, tables: StageTables, progress: Progress, total: int | None
    ) -> StageOutcome:
        """Run `stage` over `inputs` and write `tables`.

        Args:
            stage: decides for each row.
            inputs: the shards; a finished one is not loaded again.
            tables: where the stage's shards are written.
            progress: shows how far it is.
            total: number of rows to come, if known.
        """
        ...


def rows_of(tables: StageTables, index: int) -> int:
    """Rows of a finished shard, from the files' footers."""
    paths = (tables.kept_path(index), tables.rejected_path(index))
    return sum(pq.read_metadata(path).num_rows for path in paths)


def unfinished(inputs: Iterable[Shard], tables: StageTables, advance: Advance) -> Iterator[Shard]:
    """The shards still to be run; the rows of the others are done already."""
    for shard in inputs:
        if tables.is_finished(shard.index):
            advance(rows_of(tables, shard.index))
        else:
            yield shard


def run_one_shard(stage: ShardStage, shard: Shard, tables: StageTables, advance: Advance) -> None:
    """Load a shard, decide its rows, check that none is lost, and write it."""
    rows = shard.load()
    result = stage.run_shard(rows, advance)
    accounted = result.kept.num_rows + result.rejected.num_rows
    assert accounted == rows.num_rows, f"{stage.name}: read {rows.num_rows} rows, accounted for {accounted}"
    tables.write(shard.index, result.kept, result.rejected, result.figures)


def complete(stage: ShardStage, tables: StageTables) -> StageOutcome:
    """After the last shard: the whole table is looked at, and the rows are counted."""
    tables.move_to_rejected(stage.second_look(tables))
    details = stage.finish(tables)
    kept, rejected = tables.num_kept(), tables.reasons()
    return StageOutcome(read=kept + sum(rejected.values()), kept=kept, rejected=rejected, details=details)


def file_shards(paths: Iterable[Path]) -> list[Shard]:
    """The kept shards of the stage before, under the same indices."""
    return [Shard.of_file(int(path.stem.removeprefix("part-")), path) for path in paths]
