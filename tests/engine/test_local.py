"""What only the local engine does: several shards at once in one process, in threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from nameplate.engine import LocalEngine, Services, ShardResult
from nameplate.errors import RunDirectoryError
from nameplate.progress import Advance, SilentProgress
from nameplate.store.tables import StageTables

from .odd_rows import OddRows, write_inputs


class Meets(OddRows):
    """Each shard waits until another one is there."""

    shards_at_once = 2

    def serve(self, services: Services) -> None:
        super().serve(services)
        self.barrier = threading.Barrier(2)

    def work(self, first: str) -> None:
        self.barrier.wait(10)


class FailsWhileAnotherWaits(OddRows):
    """One shard fails; the other waits until it is told to stop."""

    shards_at_once = 2

    def __init__(self, notes: Path) -> None:
        super().__init__(notes)
        self.told = threading.Event()

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        if rows["row_id"][0].as_py() == "00000":
            raise RunDirectoryError("shard", found="broken")
        assert self.told.wait(10), "nobody told the other shard to stop"
        raise RunDirectoryError("shard", found="told to stop")

    def close(self) -> None:
        self.told.set()


def test_shards_meet_in_one_process_where_a_stage_asks_for_that(tmp_path: Path) -> None:
    stage, tables = Meets(tmp_path / "notes"), StageTables(tmp_path / "out", "ingest")
    inputs = write_inputs(tmp_path / "in", 4, 3, 2, 6)
    assert LocalEngine().run(stage, inputs, tables=tables, progress=SilentProgress(), total=15).read == 15
    assert stage.pids("ran-") == {os.getpid()}


def test_a_failed_shard_stops_those_beside_it_and_is_the_one_that_is_told(tmp_path: Path) -> None:
    stage, tables = FailsWhileAnotherWaits(tmp_path / "notes"), StageTables(tmp_path / "out", "ingest")
    with pytest.raises(RunDirectoryError, match="shard: broken"):
        LocalEngine().run(stage, write_inputs(tmp_path / "in", 1, 1), tables=tables, progress=SilentProgress(), total=2)
    assert tables.kept_paths() == []
