"""The one protocol between a row stage and whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.progress import Advance
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
        return cls(index, lambda: pq.read_table(path))


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard's rows: read = kept + rejected."""

    kept: pa.Table
    rejected: pa.Table


@dataclass(frozen=True)
class StageOutcome:
    """What the manifest will say of a stage's rows."""

    read: int
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class ShardStage(ABC):
    """A row stage. Subclasses set `name` and write `run_shard`; the other hooks are for whole-table questions."""

    name: ClassVar[StageName]

    def prepare(self, inputs: Sequence[Path]) -> None:  # noqa: B027  # a hook that most stages do not need
        """Look at all input shards before the first one runs."""

    @abstractmethod
    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Decide for each row; call `advance(n)` as rows get done. Must be repeatable after a crash."""

    def second_look(self, tables: StageTables) -> Moves:
        """Reject kept rows that only the finished table shows to be bad."""
        return {}

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Write what belongs to the whole stage and return its own figures."""
        return {}

    def result(self, kept: Sequence[dict[str, Any]], rejected: Sequence[dict[str, Any]]) -> ShardResult:
        """Build a result from rows as dicts; rejected ones carry `reason` and `detail`."""
        return ShardResult(
            pa.Table.from_pylist(list(kept), schema=SCHEMAS[self.name]),
            pa.Table.from_pylist(list(rejected), schema=rejected_schema(self.name)),
        )
