"""The engine loops, counts and resumes; it never decides about a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nameplate.engine import LocalEngine, Moves, Shard, ShardResult, ShardStage
from nameplate.progress import Advance, SilentProgress
from nameplate.records import SCHEMAS
from nameplate.store.tables import StageTables


class OddRows(ShardStage):
    """Keeps rows whose number is odd."""

    name = "ingest"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        kept, rejected = [], []
        for row in rows.to_pylist():
            if int(row["row_id"]) % 2:
                kept.append(row)
            else:
                rejected.append({**row, "reason": "malformed", "detail": "even"})
            advance(1)
        self.seen.append(rows.num_rows)
        return self.result(kept, rejected)

    def second_look(self, tables: StageTables) -> Moves:
        return {"1": ("duplicate_id", "by the whole table")}

    def finish(self, tables: StageTables) -> dict[str, Any]:
        return {"shards": len(tables.kept_paths())}


class LosesRows(OddRows):
    """Forgets what it rejects."""

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        return self.result(super().run_shard(rows, advance).kept.to_pylist(), [])


def shards(*sizes: int) -> list[Shard]:
    made, start = [], 0
    for index, size in enumerate(sizes):
        rows = [{"row_id": str(number), "name": "x"} for number in range(start, start + size)]
        table = pa.Table.from_pylist(rows, schema=SCHEMAS["ingest"])
        made.append(Shard(index, lambda table=table: table))
        start += size
    return made


def test_every_row_is_kept_or_rejected_with_a_reason(tmp_path: Path) -> None:
    tables = StageTables(tmp_path, "ingest")
    outcome = LocalEngine().run(OddRows(), shards(4, 3), tables=tables, progress=SilentProgress())
    assert (outcome.read, outcome.kept) == (7, 2)
    assert outcome.rejected == {"malformed": 4, "duplicate_id": 1}
    assert outcome.details == {"shards": 2}


def test_a_lost_row_is_our_mistake_and_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="read 4 rows, accounted for 2"):
        LocalEngine().run(LosesRows(), shards(4), tables=StageTables(tmp_path, "ingest"), progress=SilentProgress())


def test_finished_shards_are_not_run_again(tmp_path: Path) -> None:
    tables = StageTables(tmp_path, "ingest")
    first = LocalEngine().run(OddRows(), shards(4, 3), tables=tables, progress=SilentProgress())
    tables.kept_path(1).unlink()
    again = OddRows()
    assert LocalEngine().run(again, shards(4, 3), tables=tables, progress=SilentProgress()) == first
    assert again.seen == [3]
