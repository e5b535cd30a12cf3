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


class FetchNoted(FetchStage):
    """Leaves a file with its process id for each shard that it begins."""

    notes: Path

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        (self.notes / f"{rows['row_id'][0].as_py()}.{os.getpid()}").touch()
        return super().run_shard(rows, advance)
