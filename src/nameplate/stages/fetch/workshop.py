"""What one process needs to fetch with, for the life of the stage: a loop, a session, decoders, and the ledger.

Several shards are worked on at once: while the last links of one wait, those of the next are asked for.
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from nameplate.engine import Answers, Shared
from nameplate.progress import Advance
from nameplate.recipe import FetchSection
from nameplate.stages.fetch.clerk import Clerk
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.keeper import ImageKeeper
from nameplate.stages.fetch.ledger import LinkLedger, Remake, Suspect
from nameplate.stages.fetch.network.asker import Asker, open_session
from nameplate.stages.fetch.network.client import LinkClient
from nameplate.stages.fetch.network.guard import AddressGuard, Link
from nameplate.stages.fetch.network.lookups import LookUps
from nameplate.stages.fetch.network.robots import RobotsBook
from nameplate.stages.fetch.pixels.decode import strict_pillow
from nameplate.stages.fetch.result import LinkResult
from nameplate.store.images import ImageStore

_BEATS_PER_LEASE: Final = 4
_TASKS_PER_TURN: Final = 2
"""Links of one host and shard that are worked on at once, per turn it may have: while some decode, others ask."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Job(NamedTuple):
    """One link or one image of the table, and the rows that wait for it."""

    key: Link | str
    """A link, or the SHA-256 of an image that came with the table."""
    rows: int
    page: str | None = None


Endings = MutableMapping[Link | str, LinkResult]


def lease_seconds(section: FetchSection) -> float:
    """How long a worker may be silent before it loses what it holds."""
    return section.clocks.total_seconds + 5.0


class Workshop:
    """Open from construction to `close`; made by the first shard, for nothing of it can be pickled.

    Args:
        section: limits and clocks.
        guard: which addresses may be connected to.
        images: the store.
        journal: what was found out before; owned and closed by the caller, after `close`.
        gates: the `HostGates` that all workers share.
        home: the loop on which `gates` lives, if that is in this process: work there asks it at no cost.
        run_id: this run of the stage.
    """

    def __init__(
        self,
        section: FetchSection,
        *,
        guard: AddressGuard,
        images: ImageStore,
        journal: Answers,
        gates: Shared,
        home: asyncio.AbstractEventLoop | None,
        run_id: str,
    ) -> None:
        self._section = section
        self._gates = gates
        self._worker = uuid.uuid4().hex
        self._keeper = ImageKeeper(images, section=section)
        self._open = ExitStack()
        self._open.enter_context(strict_pillow())
        self._decoders = ThreadPoolExecutor(os.cpu_count() or 1, "decode")
        self._shards: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._thread: threading.Thread | None = None
        if home is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
            self._thread.start()
        else:
            self._loop = home
        self._loop.set_default_executor(LookUps())
        # Reading and writing the journal must not wait behind images, nor let the loop wait.
        self._clerk = Clerk(LinkLedger(journal, images=images, section=section, run_id=run_id), loop=self._loop)
        self._run(self._set_up(guard, journal, run_id))

    def end_all(
        self,
        jobs: Iterable[Job],
        figures: LinkFigures,
        advance: Advance,
        *,
        endings: Endings,
        seconds: float | None = None,
    ) -> None:
        """End every job, and write it into `endings`.

        Args:
            jobs: with distinct keys.
            figures: count what happens.
            advance: called with the rows of each job that ends, from another thread.
            endings: filled as jobs end.
            seconds: when to stop; those that have not ended by then are not in `endings`. None: when all have ended.

        Raises:
            RunDirectoryError: the disk is full.
            CancelledError: `close` was called.
        """
        self._run(self._end_all(list(jobs), figures, advance, endings, seconds))

    def close(self) -> None:
        """Stop all shards and let go of everything. May be called twice, and from any thread but the loop's."""
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._tear_down(), self._loop).result()
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._clerk.close()
        self._open.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run in the loop and wait; who is interrupted here takes the work with him."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _set_up(self, guard: AddressGuard, journal: Answers, run_id: str) -> None:
        section, gates, worker = self._section, self._gates, self._worker
        self._session = open_session(section, guard)
        asker = Asker(self._session, section=section, gates=gates, worker=worker)
        robots = RobotsBook(
            asker,
            section=section,
            gates=gates,
            worker=worker,
            journal=journal,
            run_id=run_id,
            in_thread=self._clerk.run,
        )

        async def keep(data: bytes) -> Any:
            return await self._by_decoder(self._keeper.keep, data)

        self._client = LinkClient(asker, section=section, robots=robots, keep=keep)
        self._pulse = asyncio.create_task(self._beat())

    async def _tear_down(self) -> None:
        self._pulse.cancel()
        for shard in self._shards:
            shard.cancel()
        await asyncio.gather(self._pulse, *self._shards, return_exceptions=True)
        self._clerk.stop()
        await self._gates.ask("forget", self._worker)
        await self._session.close()

    async def _beat(self) -> None:
        while True:
            await self._gates.ask("beat", self._worker)
            await asyncio.sleep(lease_seconds(self._section) / _BEATS_PER_LEASE)

    async def _end_all(
        self, jobs: list[Job], figures: LinkFigures, advance: Advance, endings: Endings, seconds: float | None
    ) -> None:
        shard = asyncio.current_task()
        assert shard is not None
        self._shards.add(shard)
        try:
            async with asyncio.timeout(seconds):
                await self._drain_all(jobs, figures, advance, endings)
        except TimeoutError:
            if seconds is None:
                raise
        finally:
            self._shards.discard(shard)

    async def _drain_all(self, jobs: list[Job], figures: LinkFigures, advance: Advance, endings: Endings) -> None:
        """A queue per host, each with a few tasks, so that a host with many links has no crowd at its gate."""
        queues: dict[str, deque[Job]] = {}
        for job in jobs:
            queues.setdefault(job.key.authority if isinstance(job.key, Link) else "", deque()).append(job)

        async def drain(queue: deque[Job]) -> None:
            while queue:
                job = queue.popleft()
                result, known = await self._end(job, figures)
                endings[job.key] = result
                figures.add(job.key.host if isinstance(job.key, Link) else None, result, known=known, rows=job.rows)
                advance(job.rows)

        most = _TASKS_PER_TURN * self._section.per_host
        await _all_or_first_error([drain(queue) for queue in queues.values() for _ in range(min(most, len(queue)))])

    async def _end(self, job: Job, figures: LinkFigures) -> tuple[LinkResult, bool]:
        """How a job ends, and whether that was known. Nobody else works on it meanwhile, wherever he is."""
        name = job.key.url if isinstance(job.key, Link) else job.key
        while not await self._gates.ask("claim", self._worker, name):
            pass
        try:
            if isinstance(job.key, Link):
                return await self._end_link(job.key, job.page, figures)
            return await self._end_blob(job.key)
        finally:
            await self._gates.ask("unclaim", self._worker, name)

    async def _end_link(self, link: Link, page: str | None, figures: LinkFigures) -> tuple[LinkResult, bool]:
        known = await self._clerk.recall(link)
        if isinstance(known, LinkResult):
            return known, True
        if isinstance(known, Remake):
            return await self._by_decoder(self._keeper.remake, known), True
        result = await self._client.fetch(link, figures, page=page, suspect=isinstance(known, Suspect))
        await self._clerk.keep(link, result)
        return result, False

    async def _end_blob(self, sha256: str) -> tuple[LinkResult, bool]:
        known = await self._clerk.recall(sha256)
        if isinstance(known, LinkResult):
            return known, True
        result = await self._by_decoder(self._keeper.keep_blob, sha256)
        await self._clerk.keep(sha256, result)
        return result, False

    async def _by_decoder(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        return await self._loop.run_in_executor(self._decoders, lambda: work(*given, **named))


async def _all_or_first_error(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines together; the first error stops the others and comes out as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
