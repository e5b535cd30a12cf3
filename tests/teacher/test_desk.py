"""The desk of all workers that ask one teacher."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from nameplate.errors import TeacherError
from nameplate.teacher.desk import TeacherDesk
from nameplate.teacher.faults import Fault
from nameplate.teacher.servers import Outcome

from .scripted import FastClock, caption

ANSWERED = Outcome(seconds=1.0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def desk_of(
    folder: Path, concurrency: int = 3, *, urls: tuple[str, ...] = ("http://a/v1",), **more: Any
) -> TeacherDesk:
    return TeacherDesk(caption(urls, concurrency=concurrency, **more), folder / "teacher.sqlite", FastClock())


async def waits(taking: asyncio.Task[Any]) -> bool:
    for _ in range(10):
        await asyncio.sleep(0)
    return not taking.done()


def test_no_more_seats_are_taken_than_there_are(tmp_path: Path) -> None:
    async def work() -> None:
        desk, inside, most = desk_of(tmp_path), 0, 0

        async def sit(holder: str) -> None:
            nonlocal inside, most
            server = await desk.seat(holder)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            await desk.leave(holder, server, ANSWERED)

        await asyncio.gather(*(sit(f"shard {number % 4}") for number in range(50)))
        assert (inside, most) == (0, 3)

    run(work())


def test_a_question_is_one_holder_s_until_he_gives_it_back(tmp_path: Path) -> None:
    async def work() -> None:
        desk = desk_of(tmp_path)
        await desk.take("a", "key")
        second = asyncio.create_task(desk.take("b", "key"))
        await desk.take("b", "another key")
        assert await waits(second)
        await desk.give_back("a", "key")
        await second

    run(work())


def test_who_enters_again_has_lost_the_question_he_held_and_waited_for(tmp_path: Path) -> None:
    async def work() -> None:
        desk = desk_of(tmp_path)
        await desk.take("dead", "key")
        waited = asyncio.create_task(desk.take("dead", "key"))
        other = asyncio.create_task(desk.take("b", "key"))
        assert await waits(other)
        await desk.enter("dead")
        await other
        assert waited.cancelled(), "a dead one was served before a living one"
        await desk.give_back("dead", "key")
        third = asyncio.create_task(desk.take("c", "key"))
        assert await waits(third), "the dead one gave back what was not his any more"
        third.cancel()

    run(work())


def test_who_enters_again_has_lost_the_seat_he_held_and_waited_for(tmp_path: Path) -> None:
    async def work() -> None:
        desk = desk_of(tmp_path, concurrency=1)
        await desk.seat("dead")
        waited = asyncio.create_task(desk.seat("dead"))
        other = asyncio.create_task(desk.seat("b"))
        assert await waits(other)
        await desk.enter("dead")
        await other
        assert waited.cancelled()
        await desk.leave("dead", 0, ANSWERED)
        third = asyncio.create_task(desk.seat("c"))
        assert await waits(third)
        third.cancel()

    run(work())


def test_who_stops_waiting_is_passed_over(tmp_path: Path) -> None:
    async def work() -> None:
        desk = desk_of(tmp_path, concurrency=1)
        await desk.seat("a")
        second, third = (asyncio.create_task(desk.seat(holder)) for holder in "bc")
        assert await waits(second)
        second.cancel()
        await asyncio.sleep(0)
        await desk.leave("a", 0, ANSWERED)
        await third

    run(work())


def test_who_is_stopped_with_a_seat_in_his_hand_gives_it_back(tmp_path: Path) -> None:
    async def work() -> None:
        desk = desk_of(tmp_path, concurrency=1)
        await desk.seat("a")
        second = asyncio.create_task(desk.seat("b"))
        assert await waits(second)
        # The seat becomes his in the very moment in which he is stopped.
        await desk.leave("a", 0, ANSWERED)
        second.cancel()
        third = asyncio.create_task(desk.seat("c"))
        assert not await waits(third)

    run(work())


def test_when_a_run_must_stop_those_under_way_are_waited_for_and_then_all_are_told(tmp_path: Path) -> None:
    async def work() -> None:
        desk = desk_of(tmp_path)
        stop = TeacherError("teacher", found="no money")
        await desk.seat("a")
        await desk.seat("b")
        assert await desk.leave("a", 0, Outcome(Fault.FATAL), stop)
        late = asyncio.create_task(desk.seat("c"))
        assert await waits(late), "someone was told before the last answer was in"
        assert await desk.leave("b", 0, ANSWERED)
        with pytest.raises(TeacherError, match="no money"):
            await late
        with pytest.raises(TeacherError, match="no money"):
            await desk.seat("d")

    run(work())


def test_one_long_rest_does_not_hide_the_end_of_a_shorter_one(tmp_path: Path) -> None:
    async def work() -> None:
        clock = FastClock()
        released = asyncio.Event()

        async def sleep(seconds: float) -> None:
            clock.pauses.append(seconds)
            if seconds > 10:
                await released.wait()
            clock.time += seconds

        clock.sleep = sleep  # type: ignore[method-assign]  # time that passes only for short rests
        desk = TeacherDesk(caption(("http://a/v1", "http://b/v1")), tmp_path / "teacher.sqlite", clock)
        first, second = await desk.seat("x"), await desk.seat("x")
        await desk.leave("x", first, Outcome(Fault.BUSY, retry_after=60.0))
        waiting = [asyncio.create_task(desk.seat("x")) for _ in range(8)]
        assert await waits(waiting[-1]) and all(task.done() for task in waiting[:-1])
        await desk.leave("x", second, Outcome(Fault.BROKEN))
        assert await waiting[-1] == second

    run(work())
