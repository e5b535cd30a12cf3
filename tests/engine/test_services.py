"""Shared objects of one process: one event loop for all shards, whatever thread they run in."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from nameplate.engine import LocalServices

from .gates import Gate


class Where:
    """Says on which thread it is asked, and waits for ever."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def thread(self) -> int:
        return threading.get_ident()

    async def wait(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    async def fail(self) -> None:
        raise ZeroDivisionError("as itself")

    async def endings(self) -> list[str]:
        return self.ended


def test_shards_in_threads_reach_one_object_on_one_loop() -> None:
    services = LocalServices({"where": Where})
    found: list[int] = []

    def shard() -> None:
        found.append(asyncio.run(services.shared("where").ask("thread")))

    threads = [threading.Thread(target=shard) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    services.close()
    assert len(set(found)) == 1 and found[0] not in {thread.ident for thread in threads}


def test_work_on_the_home_loop_asks_without_a_change_of_threads() -> None:
    services = LocalServices({"where": Where})

    async def work() -> tuple[int, bool]:
        where = services.shared("where")
        turns: list[str] = []
        asyncio.get_running_loop().call_soon(turns.append, "the loop went round")
        thread = await where.ask("thread")
        return thread, not turns

    home = services.home()
    assert home is services.home()
    thread, at_once = asyncio.run_coroutine_threadsafe(work(), home).result(10)
    assert at_once and thread == asyncio.run(services.shared("where").ask("thread"))
    services.close()


def test_a_gate_holds_across_the_event_loops_of_several_threads() -> None:
    services = LocalServices({"gate": partial(Gate, 2)})
    inside, most, lock = 0, 0, threading.Lock()

    async def go() -> None:
        nonlocal inside, most
        lease = await services.shared("gate").ask("acquire")
        with lock:
            inside += 1
            most = max(most, inside)
        while most < 2:
            await asyncio.sleep(0.005)
        with lock:
            inside -= 1
        await services.shared("gate").ask("release", lease)

    async def shard() -> None:
        await asyncio.gather(*(go() for _ in range(10)))

    threads = [threading.Thread(target=asyncio.run, args=(shard(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    services.close()
    assert (inside, most) == (0, 2)


def test_who_stops_waiting_stops_the_method_and_an_error_is_itself() -> None:
    async def shard() -> None:
        services = LocalServices({"where": Where})
        where = services.shared("where")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(where.ask("wait"), 0.05)
        assert await where.ask("endings") == ["cancelled"]
        with pytest.raises(ZeroDivisionError, match="as itself"):
            await where.ask("fail")
        services.close()

    asyncio.run(shard())


def test_closing_lets_go_of_who_still_waits_and_of_who_comes_later() -> None:
    async def shard() -> None:
        services = LocalServices({"where": Where})
        where = services.shared("where")
        waiting = asyncio.create_task(where.ask("wait"))
        await where.ask("thread")
        services.close()
        for late in (waiting, asyncio.create_task(where.ask("thread"))):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(late, 5)

    asyncio.run(shard())
