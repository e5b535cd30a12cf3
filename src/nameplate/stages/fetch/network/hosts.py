"""Turns for requests: how many may be under way to one host, and that no link is under way twice.

One `HostGates` serves all workers of a run, wherever they are: on several machines it lives in a process of its own.
Arguments and results are therefore plain values, and what a worker holds comes back when the worker is not heard of.
A host is a name with its port. The most requests of one process (`fetch.concurrency`) is that process's own matter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Final, NamedTuple

from nameplate.stages.fetch.network.pace import REST_SECONDS, Closed, Ending, HostPace

SWEEPS_PER_LEASE: Final = 4


class Turn(NamedTuple):
    """The answer to `acquire`: a lease, or why the host is asked nothing more, or neither: ask again."""

    lease: int | None
    closed: Closed | None = None


class _Waiter(NamedTuple):
    worker: str
    future: asyncio.Future[Turn]


class _Lease(NamedTuple):
    worker: str
    host: str
    started: float


@dataclass
class _Host:
    pace: HostPace
    under_way: int = 0
    waiting: deque[_Waiter] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class _Claimer(NamedTuple):
    worker: str
    future: asyncio.Future[bool]


@dataclass
class _Claim:
    worker: str
    waiting: deque[_Claimer] = field(default_factory=deque)


class HostGates:
    """Deals out turns and claims; all methods are called on one event loop.

    Args:
        per_host: most requests under way at once to one host.
        lease_seconds: a worker that is silent for so long has lost what it held.
        rest_seconds: rests of a silent host.
    """

    def __init__(self, *, per_host: int, lease_seconds: float, rest_seconds: tuple[float, ...] = REST_SECONDS) -> None:
        self._new_pace: Callable[[], HostPace] = lambda: HostPace(per_host, rest_seconds)
        self._lease_seconds = lease_seconds
        self._hosts: dict[str, _Host] = {}
        self._leases: dict[int, _Lease] = {}
        self._claims: dict[str, _Claim] = {}
        self._heard: dict[str, float] = {}
        self._numbers = count(1)
        self._sweeper: asyncio.TimerHandle | None = None

    async def claim(self, worker: str, url: str) -> bool:
        """Wait until nobody else is busy with `url`, and hold it until `unclaim`; false: ask again."""
        self._hear(worker)
        claim = self._claims.get(url)
        if claim is None:
            self._claims[url] = _Claim(worker)
            return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        claim.waiting.append(_Claimer(worker, future))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.result():
                self._pass_on(url)
            raise

    async def unclaim(self, worker: str, url: str) -> None:
        """Let `url` go, to whoever waits for it. A claim that has expired is another's, and stays."""
        claim = self._claims.get(url)
        if claim is not None and claim.worker == worker:
            self._pass_on(url)

    def _pass_on(self, url: str) -> None:
        claim = self._claims[url]
        while claim.waiting:
            claimer = claim.waiting.popleft()
            if not claimer.future.done():
                claim.worker = claimer.worker
                claimer.future.set_result(True)
                return
        del self._claims[url]

    async def acquire(self, worker: str, name: str) -> Turn:
        """Wait for a turn to ask the host `name` once, and hold it until `release`."""
        self._hear(worker)
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(self._new_pace())
        waiter = _Waiter(worker, asyncio.get_running_loop().create_future())
        host.waiting.append(waiter)
        self._deal(name, host)
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                self._give_back(waiter.future.result())
            raise

    async def release(self, lease: int, ending: Ending) -> None:
        """End a turn and say what became of the request. A lease that has expired counts for nothing."""
        if lease in self._leases:
            self._hear(self._leases[lease].worker)
            self._end(lease, ending)

    async def beat(self, worker: str) -> None:
        """Say that a worker is alive; it keeps what it holds."""
        self._hear(worker)

    async def forget(self, worker: str) -> None:
        """Take back all that a worker holds."""
        self._forget(worker)

    def _forget(self, worker: str) -> None:
        self._heard.pop(worker, None)
        if not self._heard and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        # It may be alive after all: what it waits for is answered with "ask again", and not left open.
        for host in self._hosts.values():
            for waiter in host.waiting:
                if waiter.worker == worker and not waiter.future.done():
                    waiter.future.set_result(Turn(None))
        for claim in self._claims.values():
            for claimer in claim.waiting:
                if claimer.worker == worker and not claimer.future.done():
                    claimer.future.set_result(False)
        for url in [url for url, claim in self._claims.items() if claim.worker == worker]:
            self._pass_on(url)
        for lease in [number for number, held in self._leases.items() if held.worker == worker]:
            self._end(lease, Ending())

    def _give_back(self, turn: Turn) -> None:
        if turn.lease is not None:
            self._end(turn.lease, Ending())

    def _end(self, lease: int, ending: Ending) -> None:
        held = self._leases.pop(lease)
        host = self._hosts[held.host]
        host.under_way -= 1
        host.pace.ended(ending, started=held.started, now=monotonic())
        self._deal(held.host, host)

    def _deal(self, name: str, host: _Host) -> None:
        """Give turns to those who wait, as many as the host's pace allows; come back when its rest is over."""
        while host.waiting:
            if host.waiting[0].future.done():
                host.waiting.popleft()
            elif host.pace.closed is not None:
                host.waiting.popleft().future.set_result(Turn(None, host.pace.closed))
            elif host.pace.allows(host.under_way, monotonic()):
                waiter = host.waiting.popleft()
                lease = next(self._numbers)
                self._leases[lease] = _Lease(waiter.worker, name, monotonic())
                host.under_way += 1
                waiter.future.set_result(Turn(lease))
            else:
                self._come_back(name, host)
                return

    def _come_back(self, name: str, host: _Host) -> None:
        if host.timer is not None:
            host.timer.cancel()
            host.timer = None
        rest = host.pace.not_before - monotonic()
        if rest > 0:
            host.timer = asyncio.get_running_loop().call_later(rest, self._deal, name, host)

    def _hear(self, worker: str) -> None:
        self._heard[worker] = monotonic()
        if self._sweeper is None:
            self._sweep_later()

    def _sweep_later(self) -> None:
        pause = self._lease_seconds / SWEEPS_PER_LEASE
        self._sweeper = asyncio.get_running_loop().call_later(pause, self._sweep)

    def _sweep(self) -> None:
        """Free what silent workers hold."""
        self._sweeper = None
        silent_since = monotonic() - self._lease_seconds
        for worker in [worker for worker, heard in self._heard.items() if heard < silent_since]:
            self._forget(worker)
        if self._heard:
            self._sweep_later()
