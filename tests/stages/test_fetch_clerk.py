"""The clerk of the ledger: many errands in one change of threads, and no errand lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nameplate.errors import RunDirectoryError
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.clerk import Clerk
from nameplate.stages.fetch.ledger import LinkLedger
from nameplate.stages.fetch.network.guard import Link, parse_link
from nameplate.stages.fetch.result import LinkResult
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal

LINKS: list[Link | str] = [parse_link(f"https://shop.example/{number}.jpg") for number in range(200)]


class Watched(Journal):
    """Counts its questions; stands still while `go` is not set, and breaks when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.calls = 0
        self.breaks = False
        self.go = threading.Event()
        self.go.set()

    def put_many(self, entries: Any) -> None:
        self.calls += 1
        assert self.go.wait(10)
        if self.breaks:
            raise RunDirectoryError(str(self.path), found="full", fix="free some space")
        super().put_many(entries)

    def last_many(self, keys: Any) -> dict[str, dict[str, Any]]:
        self.calls += 1
        assert self.go.wait(10)
        return super().last_many(keys)


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Clerk, Watched]]:
    """Call it within a running loop."""
    with Watched(folder / "fetch.sqlite") as journal:
        ledger = LinkLedger(journal, images=ImageStore(folder / "images"), section=FetchSection(), run_id="r")
        clerk = Clerk(ledger, loop=asyncio.get_running_loop())
        yield clerk, journal
        clerk.close()


def test_what_comes_while_the_clerk_works_is_one_batch_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    async def work() -> None:
        with opened(tmp_path) as (clerk, journal):
            results = [LinkResult(FetchStatus.HTTP_404, str(link)) for link in LINKS]
            await asyncio.gather(*(clerk.keep(link, result) for link, result in zip(LINKS, results, strict=True)))
            assert journal.calls == 2, "the first alone, the others together"
            stranger = parse_link("https://shop.example/nobody.jpg")
            found = await asyncio.gather(*(clerk.recall(link) for link in [*LINKS, stranger]))
            assert found == [*results, None]
            assert journal.calls == 4

    asyncio.run(work())


def test_who_gives_up_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    async def work() -> None:
        with opened(tmp_path) as (clerk, journal):
            journal.go.clear()
            first, second = (asyncio.create_task(clerk.recall(link)) for link in LINKS[:2])
            await asyncio.sleep(0)
            first.cancel()
            second.cancel()
            third = asyncio.create_task(clerk.keep(LINKS[2], LinkResult(FetchStatus.HTTP_404)))
            await asyncio.sleep(0)
            journal.go.set()
            await asyncio.wait_for(third, 10)
            assert first.cancelled() and second.cancelled()
            assert await clerk.recall(LINKS[2]) == LinkResult(FetchStatus.HTTP_404)

    asyncio.run(work())


def test_a_full_disk_is_told_to_all_who_wait_and_the_clerk_goes_on(tmp_path: Path) -> None:
    async def work() -> None:
        with opened(tmp_path) as (clerk, journal):
            journal.breaks = True
            result = LinkResult(FetchStatus.HTTP_404)
            ends = await asyncio.gather(*(clerk.keep(link, result) for link in LINKS[:5]), return_exceptions=True)
            assert [type(end) for end in ends] == [RunDirectoryError] * 5
            journal.breaks = False
            await clerk.keep(LINKS[0], result)
            assert await clerk.recall(LINKS[0]) == result

    asyncio.run(work())


def test_a_clerk_that_is_stopped_begins_nothing_more_though_its_loop_goes_on(tmp_path: Path) -> None:
    """Ctrl-C ended in a trace of calls below its message: what waited was begun in a thread that was gone."""
    faults: list[dict[str, Any]] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        with opened(tmp_path) as (clerk, journal):
            journal.go.clear()
            waiting = [asyncio.create_task(clerk.recall(link)) for link in LINKS[:2]]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
            clerk.stop()
            journal.go.set()
        # Closed, and only now the loop hears that the first was done.
        for _ in range(5):
            await asyncio.sleep(0)
        assert journal.calls == 1

    asyncio.run(work())
    assert faults == []
