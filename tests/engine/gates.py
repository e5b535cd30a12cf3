"""A gate for tests: so many may be inside at once, and one who does not come out again is given up."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa

from nameplate.engine import Makers, ShardResult
from nameplate.progress import Advance

from .odd_rows import OddRows

LEASE_SECONDS = 60.0


class Gate:
    """Lets `limit` in; a lease ends by itself after a while."""

    def __init__(self, limit: int, lease_seconds: float = LEASE_SECONDS) -> None:
        self._room = asyncio.Semaphore(limit)
        self._seconds = lease_seconds
        self._leases: dict[int, asyncio.TimerHandle] = {}
        self._numbers = count()

    async def acquire(self) -> int:
        await self._room.acquire()
        lease = next(self._numbers)
        self._leases[lease] = asyncio.get_running_loop().call_later(self._seconds, self._end, lease)
        return lease

    async def release(self, lease: int) -> None:
        self._end(lease)

    def _end(self, lease: int) -> None:
        timer = self._leases.pop(lease, None)
        if timer is not None:
            timer.cancel()
            self._room.release()


class UsesAGate(OddRows):
    """Every row of a shard goes through the gate, all at the same time, and writes down who else is inside.

    Who is inside leaves a file with his process id, so the count does not believe the gate. In company, work begins
    when two processes are there, and nobody leaves before as many as the gate lets in were seen inside at once.
    """

    def __init__(self, notes: Path, log: Path, *, limit: int, lease_seconds: float = LEASE_SECONDS) -> None:
        super().__init__(notes)
        self.log = log
        self.limit = limit
        self.lease_seconds = lease_seconds
        self.in_company = False
        self.victim: str | None = None
        (log / "inside").mkdir(parents=True)

    def shared(self) -> Makers:
        return {"gate": partial(Gate, self.limit, self.lease_seconds)}

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        if self.in_company:
            self.wait_for_company()
        asyncio.run(self._all(rows["row_id"].to_pylist()))
        return super().run_shard(rows, advance)

    def holders(self) -> tuple[int, int]:
        """How many went through, and the most that were inside at once."""
        counts = [int(path.read_text()) for path in self.log.glob("*.count")]
        return len(counts), max(counts)

    def _inside(self) -> int:
        return sum(Path(f"/proc/{path.suffix[1:]}").exists() for path in (self.log / "inside").iterdir())

    async def _all(self, row_ids: list[str]) -> None:
        gate = self.services.shared("gate")

        async def go(row_id: str) -> None:
            lease = await gate.ask("acquire")
            mine = self.log / "inside" / f"{row_id}.{os.getpid()}"
            mine.touch()
            inside = self._inside()
            while self.in_company and not self.times("met"):
                inside = max(inside, self._inside())
                if inside >= self.limit:
                    self.note("met")
                await asyncio.sleep(0.01)
            if row_id == self.victim and self.first("died"):
                os.kill(os.getpid(), signal.SIGKILL)
            (self.log / f"{row_id}.count").write_text(str(inside))
            mine.unlink()
            await gate.ask("release", lease)

        async with asyncio.TaskGroup() as group:
            for row_id in row_ids:
                group.create_task(go(row_id))


class StopsWaiting(OddRows):
    """Waits at a gate that has room for one, thinks better of it, and comes again when there is room."""

    def shared(self) -> Makers:
        return {"gate": partial(Gate, 1, 60.0)}

    def work(self, first: str) -> None:
        asyncio.run(self._go())

    async def _go(self) -> None:
        gate = self.services.shared("gate")
        lease = await gate.ask("acquire")
        waiting = asyncio.create_task(gate.ask("acquire"))
        await asyncio.sleep(0.2)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await gate.ask("release", lease)
        async with asyncio.timeout(50):
            await gate.ask("release", await gate.ask("acquire"))
