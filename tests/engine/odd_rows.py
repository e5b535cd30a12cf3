"""Small stages for tests of engines. They lie in a file of their own so that other processes can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from nameplate.engine import Moves, Shard, ShardResult, ShardStage, file_shards
from nameplate.errors import RunDirectoryError
from nameplate.progress import Advance
from nameplate.records import SCHEMAS, StageName
from nameplate.store.tables import StageTables


def write_rows(folder: Path, stage: StageName, rows: Sequence[dict[str, Any]], *, per_shard: int) -> list[Shard]:
    """Rows in files of so many, as the stage before would have written them."""
    tables = StageTables(folder, stage)
    empty = tables.read_rejected()
    for index, start in enumerate(range(0, len(rows), per_shard)):
        tables.write(index, pa.Table.from_pylist(rows[start : start + per_shard], schema=SCHEMAS[stage]), empty)
    return file_shards(tables.kept_paths())


def write_inputs(folder: Path, *sizes: int) -> list[Shard]:
    """Shards of so many rows, in files, with ids that go on from shard to shard."""
    start, tables = 0, StageTables(folder, "ingest")
    empty = tables.read_rejected()
    for index, size in enumerate(sizes):
        rows = [{"row_id": f"{number:05d}", "name": "x"} for number in range(start, start + size)]
        tables.write(index, pa.Table.from_pylist(rows, schema=SCHEMAS["ingest"]), empty)
        start += size
    return file_shards(tables.kept_paths())


class OddRows(ShardStage):
    """Keeps rows whose number is odd, and notes in a folder which shard ran where."""

    name = "ingest"
    distributes = True

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.looks = 0

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        first = rows["row_id"][0].as_py()
        self.note(f"ran-{first}")
        self.work(first)
        kept, rejected = [], []
        for row in rows.to_pylist():
            if int(row["row_id"]) % 2:
                kept.append(row)
            else:
                rejected.append({**row, "reason": "malformed", "detail": "even"})
            advance(1)
        return self.result(kept, rejected, {"rows": rows.num_rows})

    def work(self, first: str) -> None:
        """What a test adds to the work on the shard that begins with row `first`."""

    def note(self, what: str) -> int:
        """Leave a file for each time that something happened; returns how often it had happened before."""
        self.notes.mkdir(exist_ok=True)
        before = len(list(self.notes.glob(f"{what}.*")))
        (self.notes / f"{what}.{before}.{os.getpid()}").touch()
        return before

    def first(self, what: str) -> bool:
        """Whether this happens for the first time; it is noted then."""
        return self.times(what) == 0 and self.note(what) == 0

    def times(self, what: str) -> int:
        """How often something was noted, in any process."""
        return len(list(self.notes.glob(f"{what}*")))

    def pids(self, what: str) -> set[int]:
        """Who noted it."""
        return {int(path.name.rsplit(".", 1)[1]) for path in self.notes.glob(f"{what}*")}

    def wait_for_company(self, seconds: float = 60.0) -> None:
        """Go on when another process works on this stage, too: a busy machine may start one long before the other."""
        self.note("came")
        until = time.monotonic() + seconds
        while len(self.pids("came")) < 2:
            assert time.monotonic() < until, f"no other process came within {seconds:.0f} s"
            time.sleep(0.01)

    def second_look(self, tables: StageTables) -> Moves:
        self.looks += 1
        return {"00001": ("duplicate_id", "by the whole table")}

    def finish(self, tables: StageTables) -> dict[str, Any]:
        return {"shards": len(tables.kept_paths()), "rows": sum(part["rows"] for part in tables.figures())}


class WaitsForCompany(OddRows):
    """Runs where at least two processes do."""

    def work(self, first: str) -> None:
        self.wait_for_company()


class LosesRows(OddRows):
    """Forgets what it rejects."""

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        return self.result(super().run_shard(rows, advance).kept.to_pylist(), [])


class Fails(OddRows):
    """Has an expected failure in one shard."""

    def work(self, first: str) -> None:
        if first == "00004":
            raise RunDirectoryError("shard", found="broken", expected="whole", fix="mend it")


class HasABug(OddRows):
    """Has an unexpected one."""

    def work(self, first: str) -> None:
        if first == "00004":
            raise ZeroDivisionError("a bug of ours")


class DiesOnce(OddRows):
    """Its process is killed in the middle of one shard, the first time."""

    def work(self, first: str) -> None:
        if first == "00004" and self.first("died"):
            os.kill(os.getpid(), signal.SIGKILL)


class DiesAlways(OddRows):
    """Its process is killed each time."""

    def work(self, first: str) -> None:
        self.note("died")
        os.kill(os.getpid(), signal.SIGKILL)


class WaitsToBeKilled(OddRows):
    """Stays in one shard, the first time, until somebody kills its process."""

    def work(self, first: str) -> None:
        if first == "00004" and self.first("waits"):
            time.sleep(60)


class SeesNothing(OddRows):
    """Needs a folder that is another one, or none, in every other process."""

    def __init__(self, notes: Path) -> None:
        super().__init__(notes)
        notes.mkdir()
        self.folder = Path(f"/proc/self/fd/{os.open(notes, os.O_RDONLY)}")

    def folders(self) -> Sequence[Path]:
        return (self.folder,)


class UsesAJournal(OddRows):
    """Puts each row into a journal, unless it stands there."""

    def __init__(self, notes: Path, path: Path) -> None:
        super().__init__(notes)
        self.path = path
        self.dies_after = ""
        self.in_company = False

    def journals(self) -> Sequence[Path]:
        return (self.path,)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        if self.in_company:
            self.wait_for_company()
        with self.services.journal(self.path) as journal:
            for row_id in rows["row_id"].to_pylist():
                if journal.last(row_id) is not None:
                    self.note(f"found-{row_id}")
                    continue
                journal.put(row_id, 0, {"opened_by": openers(self.path)})
                if row_id == self.dies_after and self.first("died"):
                    os.kill(os.getpid(), signal.SIGKILL)
            known = journal.last_many([*rows["row_id"].to_pylist(), "nobody"])
            assert list(known) == rows["row_id"].to_pylist()
        return super().run_shard(rows, advance)


def openers(path: Path) -> list[int]:
    """The processes that have this file open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.readlink() == path:
                found.add(int(link.parts[2]))
    return sorted(found)
