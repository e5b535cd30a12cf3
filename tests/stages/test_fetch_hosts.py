"""The pace of a host, and the turns and claims that all workers share."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.stages.fetch.network.hosts import HostGates, Turn
from nameplate.stages.fetch.network.pace import (
    BUSY_ANSWERS,
    REST_SECONDS,
    SILENT_TRIES,
    SUCCESSES_PER_STEP,
    Ending,
    HostPace,
    Outcome,
)
from nameplate.stages.fetch.network.retry import LONGEST_REST_SECONDS

ANSWERED = Ending(Outcome.ANSWERED)
BUSY = Ending(Outcome.BUSY, "http_429", "HTTP 429")
SILENT = Ending(Outcome.SILENT, "connect_error", "refused")


def _asking_to_wait(seconds: float) -> Ending:
    return BUSY._replace(rest_seconds=seconds)


def test_trouble_halves_the_limit_once_for_all_that_was_under_way_and_answers_raise_it_again() -> None:
    pace = HostPace(8)
    for _ in range(4):
        pace.ended(BUSY, started=0.0, now=1.0)
    assert pace.limit == 4
    pace.ended(BUSY, started=1.0, now=2.0)
    assert pace.limit == 2
    for _ in range(SUCCESSES_PER_STEP - 1):
        pace.ended(ANSWERED, started=2.0, now=2.1)
    assert pace.limit == 2
    pace.ended(ANSWERED, started=2.0, now=2.1)
    assert pace.limit == 3


@given(st.lists(st.sampled_from([ANSWERED, BUSY, SILENT, Ending(), _asking_to_wait(3.0)]), max_size=400))
def test_the_limit_stays_between_one_and_per_host(endings: list[Ending]) -> None:
    pace = HostPace(4)
    for now, ending in enumerate(endings):
        pace.ended(ending, started=float(now), now=now + 0.5)
        assert 1 <= pace.limit <= 4
        assert not pace.allows(pace.limit, now=1e9)


def test_links_that_were_silent_before_do_not_condemn_their_host_unless_it_is_probed() -> None:
    pace = HostPace(4)
    suspect = SILENT._replace(suspect=True)
    for now in range(100):
        pace.ended(suspect, started=float(now), now=float(now))
    assert (pace.limit, pace.not_before, pace.closed) == (4, 0.0, None)
    for _ in range(SILENT_TRIES):
        pace.ended(SILENT, started=100.0, now=100.0)
    now = 100.0
    for rest in REST_SECONDS:
        now += rest
        pace.ended(suspect, started=now, now=now)
    assert pace.closed is not None


def test_a_silent_host_rests_is_probed_by_one_request_and_counts_as_down_in_the_end() -> None:
    pace, now = HostPace(4), 0.0
    for _ in range(SILENT_TRIES):
        assert pace.allows(0, now)
        pace.ended(SILENT, started=now, now=now)
    for rest in REST_SECONDS:
        assert pace.closed is None
        assert not pace.allows(0, now + rest - 0.1)
        now += rest
        assert pace.allows(0, now) and not pace.allows(1, now), "one probe at a time"
        pace.ended(SILENT, started=now, now=now)
    assert pace.closed is not None and pace.closed.status == "connect_error"
    assert "9 tries in a row" in pace.closed.detail
    assert now <= 60, "a dead host may not hold a run for long"


def test_a_short_outage_condemns_nobody() -> None:
    pace, now = HostPace(4), 0.0
    while now < 15:
        while not pace.allows(0, now):
            now += 0.5
        pace.ended(SILENT if now < 15 else ANSWERED, started=now, now=now)
    assert pace.closed is None
    assert pace.allows(0, now), "one answer ends the rest"


def test_tries_that_were_under_way_before_a_rest_are_no_probes() -> None:
    pace = HostPace(64)
    for _ in range(64):
        pace.ended(SILENT, started=0.0, now=1.0)
    assert pace.closed is None
    assert pace.not_before == 1.0 + REST_SECONDS[0]


def test_a_host_gets_the_rest_that_it_asks_for_but_not_for_hours() -> None:
    pace = HostPace(4)
    pace.ended(_asking_to_wait(100.0), started=0.0, now=1.0)
    pace.ended(_asking_to_wait(50.0), started=0.0, now=2.0)
    assert pace.not_before == 101.0
    pace.ended(_asking_to_wait(LONGEST_REST_SECONDS - 50), started=101.0, now=101.0)
    assert pace.closed is not None and pace.closed.status == "http_429"
    patient = HostPace(4)
    for now in range(100):
        patient.ended(_asking_to_wait(100.0), started=now * 100.0, now=now * 100.0)
        patient.ended(ANSWERED, started=now * 100.0 + 99, now=now * 100.0 + 99)
    assert patient.closed is None, "rests between good answers do not add up"


def test_a_host_that_is_always_busy_gets_longer_and_longer_rests() -> None:
    pace, now, rests = HostPace(4), 0.0, []
    while pace.closed is None:
        pace.ended(BUSY, started=now, now=now)
        rests.append(max(0.0, pace.not_before - now))
        now = max(now + 0.1, pace.not_before)
    assert rests[: BUSY_ANSWERS - 1] == [0.0] * (BUSY_ANSWERS - 1)
    assert rests[BUSY_ANSWERS - 1 : BUSY_ANSWERS + 2] == pytest.approx([1.0, 2.0, 4.0])
    assert len(rests) < 30


def _gates(per_host: int = 2, *, lease_seconds: float = 60.0, rests: tuple[float, ...] = ()) -> HostGates:
    return HostGates(per_host=per_host, lease_seconds=lease_seconds, rest_seconds=rests)


def test_turns_are_dealt_out_per_host_and_come_back() -> None:
    async def ask() -> None:
        gates, under_way, most = _gates(), Counter[str](), Counter[str]()

        async def one(host: str) -> None:
            turn = await gates.acquire("me", host)
            under_way[host] += 1
            most[host] = max(most[host], under_way[host])
            await asyncio.sleep(0.001)
            under_way[host] -= 1
            assert turn.lease is not None
            await gates.release(turn.lease, ANSWERED)

        await asyncio.gather(*(one(host) for host in ("a", "b") * 50))
        assert most == {"a": 2, "b": 2}

    asyncio.run(ask())


def test_a_link_under_way_is_nobody_elses() -> None:
    async def ask() -> list[str]:
        gates, order = _gates(), []

        async def one(worker: str) -> None:
            assert await gates.claim(worker, "http://a/1")
            order.append(f"{worker} in")
            await asyncio.sleep(0.01)
            order.append(f"{worker} out")
            await gates.unclaim(worker, "http://a/1")

        await asyncio.gather(one("a"), one("b"), one("c"))
        return order

    assert asyncio.run(ask()) == ["a in", "a out", "b in", "b out", "c in", "c out"]


def test_what_a_silent_worker_held_comes_back() -> None:
    async def ask() -> None:
        gates = _gates(1, lease_seconds=3.0)
        assert await gates.claim("dead", "http://a/1")
        lost = (await gates.acquire("dead", "a")).lease

        async def beat() -> None:
            while True:
                await gates.beat("alive")
                await asyncio.sleep(0.05)

        pulse = asyncio.create_task(beat())
        assert await asyncio.wait_for(gates.claim("alive", "http://a/1"), 30)
        turn = await asyncio.wait_for(gates.acquire("alive", "a"), 30)
        assert turn.lease is not None and lost is not None
        await gates.release(lost, BUSY)
        await gates.unclaim("dead", "http://a/1")
        waiting = asyncio.create_task(gates.acquire("alive", "a"))
        claiming = asyncio.create_task(gates.claim("alive", "http://a/1"))
        await asyncio.sleep(3.5)
        assert not waiting.done() and not claiming.done(), "one who beats keeps what he holds"
        await gates.forget("alive")
        assert (await waiting, await claiming) == (Turn(None), False), "nobody waits for ever"
        pulse.cancel()

    asyncio.run(ask())


def test_a_waiter_that_is_cancelled_takes_no_turn_along() -> None:
    async def ask() -> None:
        gates = _gates(1)
        held = await gates.acquire("me", "a")
        await gates.claim("me", "u")
        waiting = [asyncio.create_task(gates.acquire("me", "a")), asyncio.create_task(gates.claim("me", "u"))]
        await asyncio.sleep(0)
        assert held.lease is not None
        await gates.release(held.lease, ANSWERED)
        await gates.unclaim("me", "u")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (await asyncio.wait_for(gates.acquire("me", "a"), 5)).lease is not None
        assert await asyncio.wait_for(gates.claim("me", "u"), 5)

    asyncio.run(ask())


def test_all_who_wait_for_a_dead_host_are_told_at_once() -> None:
    async def ask() -> None:
        gates = _gates(2)

        async def one() -> Turn:
            turn = await gates.acquire("me", "dead")
            if turn.lease is not None:
                await gates.release(turn.lease, SILENT)
            return turn

        turns = await asyncio.wait_for(asyncio.gather(*(one() for _ in range(5000))), 60)
        assert sum(turn.lease is not None for turn in turns) == SILENT_TRIES
        assert {turn.closed.status for turn in turns if turn.closed} == {"connect_error"}
        alive = await gates.acquire("me", "alive")
        assert alive.lease is not None

    asyncio.run(ask())


@pytest.mark.parametrize("number", [20_000])
def test_a_crowd_at_one_host_costs_each_the_same(number: int) -> None:
    """Steps of the loop, not seconds: no waiter is woken before its turn."""

    async def ask() -> int:
        gates, wakes = _gates(4), 0

        async def one() -> None:
            nonlocal wakes
            turn = await gates.acquire("me", "a")
            wakes += 1
            assert turn.lease is not None
            await asyncio.sleep(0)
            await gates.release(turn.lease, ANSWERED)

        await asyncio.gather(*(one() for _ in range(number)))
        return wakes

    assert asyncio.run(ask()) == number
