"""The desk of all workers that ask one teacher."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from nameplate.teacher.desk import SEAT, TeacherDesk


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


async def waits(taking: asyncio.Task[None]) -> bool:
    await asyncio.sleep(0.01)
    return not taking.done()


def test_no_more_seats_are_taken_than_there_are() -> None:
    async def work() -> None:
        desk, inside, most = TeacherDesk(3), 0, 0

        async def sit(holder: str) -> None:
            nonlocal inside, most
            await desk.take(holder, SEAT)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
            await desk.give_back(holder, SEAT)

        await asyncio.gather(*(sit(f"shard {number % 4}") for number in range(50)))
        assert (inside, most) == (0, 3)

    run(work())


def test_a_question_is_one_holder_s_until_he_gives_it_back() -> None:
    async def work() -> None:
        desk = TeacherDesk(3)
        await desk.take("a", "key")
        second = asyncio.create_task(desk.take("b", "key"))
        await desk.take("b", "another key")
        assert await waits(second)
        await desk.give_back("a", "key")
        await second

    run(work())


@pytest.mark.parametrize("name", [SEAT, "key"])
def test_who_enters_again_has_lost_what_he_held_and_waited_for(name: str) -> None:
    async def work() -> None:
        desk = TeacherDesk(1)
        await desk.take("dead", name)
        waited = asyncio.create_task(desk.take("dead", name))
        other = asyncio.create_task(desk.take("b", name))
        assert await waits(other)
        await desk.enter("dead")
        await other
        assert waited.cancelled(), "a dead one was served before a living one"
        await desk.give_back("dead", name)
        third = asyncio.create_task(desk.take("c", name))
        assert await waits(third), "the dead one gave back what was not his any more"
        third.cancel()

    run(work())


def test_who_stops_waiting_is_passed_over() -> None:
    async def work() -> None:
        desk = TeacherDesk(1)
        await desk.take("a", SEAT)
        second, third = (asyncio.create_task(desk.take(holder, SEAT)) for holder in "bc")
        assert await waits(second)
        second.cancel()
        await asyncio.sleep(0)
        await desk.give_back("a", SEAT)
        await third

    run(work())
