"""Real stages whose worker is killed in the middle of a shard, the first time that it is run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pyarrow as pa

from nameplate.engine import ShardResult
from nameplate.progress import Advance
from nameplate.stages.clean import CleanStage
from nameplate.stages.fetch import FetchStage


def first_time(marker: Path) -> bool:
    """Whether nobody has been here; leaves our process id."""
    if marker.exists():
        return False
    marker.write_text(str(os.getpid()), encoding="utf-8")
    return True


class CleanKilledInside(CleanStage):
    """Ends its own process when the work on a shard is done and nothing is written."""

    marker: Path
    victim: str

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        result = super().run_shard(rows, advance)
        if rows["row_id"][0].as_py() == self.victim and first_time(self.marker):
            os.kill(os.getpid(), signal.SIGKILL)
        return result


class CleanKilledOutside(CleanStage):
    """Stays in a shard until somebody ends its process."""

    marker: Path
    victim: str

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        result = super().run_shard(rows, advance)
        if rows["row_id"][0].as_py() == self.victim and first_time(self.marker):
            time.sleep(60)
        return result


class FetchKilledOutside(FetchStage):
    """Stays in the middle of the first shard that anybody begins, until somebody ends its process."""

    marker: Path
    begun: Path
    after_rows: int

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        try:
            self.begun.touch(exist_ok=False)
        except FileExistsError:
            return super().run_shard(rows, advance)
        ended = 0

        def stay(num_rows: int) -> None:
            nonlocal ended
            ended += num_rows
            advance(num_rows)
            # The loop that asks for images calls this: with it stands all that the worker does.
            if ended >= self.after_rows and first_time(self.marker):
                time.sleep(60)

        return super().run_shard(rows, stay)
