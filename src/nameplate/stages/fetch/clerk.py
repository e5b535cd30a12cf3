"""Reads and writes the ledger in a thread of its own, for many at a time: what comes while it works is its next batch.

A change of threads for each link, twice, cost more processor time than the journal itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, ParamSpec, TypeVar

from nameplate.stages.fetch.ledger import Known, LinkLedger
from nameplate.stages.fetch.network.guard import Link
from nameplate.stages.fetch.result import LinkResult

Given = ParamSpec("Given")
Result = TypeVar("Result")


class _Errand(NamedTuple):
    """Write down how `key` ended, or with no result: look up how it ended before."""

    key: Link | str
    result: LinkResult | None
    future: asyncio.Future[Known | None]


class Clerk:
    """Works for one event loop; all methods are called there.

    Args:
        ledger: what is known of links; used in the clerk's thread only.
        loop: the event loop.
    """

    def __init__(self, ledger: LinkLedger, *, loop: asyncio.AbstractEventLoop) -> None:
        self._ledger = ledger
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._waiting: list[_Errand] = []
        self._is_busy = False
        self._is_stopped = False

    async def recall(self, key: Link | str) -> Known | None:
        """How a link, or an image that came with the table, ended before; see `LinkLedger.recall_many`."""
        return await self._sent(key, None)

    async def keep(self, key: Link | str, result: LinkResult) -> None:
        """Write down how it ended; it is on disk when this returns.

        Raises:
            RunDirectoryError: the disk is full.
        """
        await self._sent(key, result)

    async def run(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """Do something else in the thread."""
        return await self._loop.run_in_executor(self._thread, lambda: work(*given, **named))

    def stop(self) -> None:
        """Begin nothing more, for all who sent something were cancelled; what was begun is finished.

        Without it, what is waiting would be begun when that is done, by a loop that outlives the thread.
        """
        self._is_stopped = True

    def close(self) -> None:
        """Finish what was begun, and end the thread."""
        self._thread.shutdown()

    def _sent(self, key: Link | str, result: LinkResult | None) -> asyncio.Future[Known | None]:
        errand = _Errand(key, result, self._loop.create_future())
        self._waiting.append(errand)
        if not self._is_busy:
            self._begin()
        return errand.future

    def _begin(self) -> None:
        errands, self._waiting = self._waiting, []
        self._is_busy = bool(errands) and not self._is_stopped
        if self._is_busy:
            batch = self._loop.run_in_executor(self._thread, self._work, errands)
            batch.add_done_callback(lambda done: self._hand_out(errands, done))

    def _work(self, errands: list[_Errand]) -> list[Known | None]:
        results = [(errand.key, errand.result) for errand in errands if errand.result is not None]
        if results:
            self._ledger.keep_many(results)
        known = self._ledger.recall_many([errand.key for errand in errands if errand.result is None])
        return [known.get(errand.key) if errand.result is None else None for errand in errands]

    def _hand_out(self, errands: list[_Errand], batch: asyncio.Future[list[Any]]) -> None:
        error = batch.exception()
        answers = batch.result() if error is None else [None] * len(errands)
        for errand, answer in zip(errands, answers, strict=True):
            # Who sent it may have been cancelled meanwhile.
            if errand.future.done():
                continue
            if error is None:
                errand.future.set_result(answer)
            else:
                errand.future.set_exception(error)
        self._begin()
