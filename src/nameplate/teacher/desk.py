"""One desk for all workers that ask one teacher: who asks which server, no question twice, and when to stop.

Everything that must hold for all workers together is decided here: how many requests are under way, which servers rest,
what has been spent, and whether answers go bad. When a run must end, nobody gets a seat any more, those under way are
waited for (their answers are paid for), and then everyone is told why.
"""

from __future__ import annotations

import asyncio
import copy
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from nameplate.errors import TeacherError
from nameplate.recipe import CaptionSection
from nameplate.teacher import stops
from nameplate.teacher.breaker import Breaker
from nameplate.teacher.budget import Purse, series_of
from nameplate.teacher.exchange import public_address
from nameplate.teacher.faults import Fault
from nameplate.teacher.line import Clock
from nameplate.teacher.servers import Outcome, Servers

DESK: Final = "teacher"

MOST_SILENT_QUESTIONS: Final = 3
"""So many different questions without an answer mean that the teacher is gone, not that one picture is hard."""
MOST_REFUSED_AT_FIRST: Final = 3
"""So many questions refused by a server that never answered one mean that it refuses them all."""
MOST_REFUSED_IN_A_ROW: Final = 25


def desk_makers(
    caption: CaptionSection, journal: Path, clock: Clock | None = None
) -> dict[str, Callable[[], TeacherDesk]]:
    """What a stage that asks this teacher must share."""
    return {DESK: partial(TeacherDesk, caption, journal, clock or Clock())}


@dataclass
class _Question:
    holder: str | None = None
    waiting: deque[tuple[str, asyncio.Future[None]]] = field(default_factory=deque)


@dataclass(frozen=True)
class _Seat:
    holder: str
    server: int
    began: float


@dataclass(frozen=True)
class _Waiter:
    holder: str
    avoid: int | None
    turn: asyncio.Future[int]


class TeacherDesk:
    """Deals out questions and seats; all methods are called on one event loop.

    A holder is a piece of work (a shard), not a process: when its worker is killed, the next try of the same piece of
    work enters under the same name, and what the dead one held is free again.

    Args:
        caption: servers, limits and budget.
        journal: where the answers of earlier runs stand.
        clock: time.
    """

    def __init__(self, caption: CaptionSection, journal: Path, clock: Clock) -> None:
        self._section = caption.teacher
        self._clock = clock
        addresses = [public_address(url) for url in self._section.base_urls]
        self._addresses = addresses
        self._servers = Servers(addresses, concurrency=self._section.concurrency, rng=random.Random())
        self._purse = Purse(caption.budget, series=series_of(caption), journal=journal)
        self._breaker = Breaker(self._section.stop_bad_share)
        self._questions: dict[str, _Question] = {}
        self._seats: list[_Seat] = []
        self._waiting: deque[_Waiter] = deque()
        self._stop: TeacherError | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf

    async def enter(self, holder: str) -> None:
        """Begin or end a piece of work; what it holds or waits for is let go."""
        for key, question in list(self._questions.items()):
            for waiter, turn in question.waiting:
                if waiter == holder:
                    turn.cancel()
            if question.holder == holder:
                question.holder = None
            self._pass_on(key, question)
        for each in self._waiting:
            if each.holder == holder:
                each.turn.cancel()
        for seat in [seat for seat in self._seats if seat.holder == holder]:
            self._free(seat)
        self._deal()

    async def take(self, holder: str, key: str) -> None:
        """Wait until nobody else is busy with a question, and hold it."""
        question = self._questions.setdefault(key, _Question())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        question.waiting.append((holder, turn))
        self._pass_on(key, question)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                await self.give_back(holder, key)
            raise

    async def give_back(self, holder: str, key: str) -> None:
        """Let go of a question; what `enter` has taken away counts for nothing."""
        question = self._questions.get(key)
        if question is not None and question.holder == holder:
            question.holder = None
            self._pass_on(key, question)

    async def seat(self, holder: str, avoid: int | None = None) -> int:
        """Wait for the right to send one request, and for the server to send it to.

        Args:
            holder: the piece of work.
            avoid: a server that has just failed this request; another one is better.

        Raises:
            TeacherError: nothing is asked any more, and why.
        """
        waiter = _Waiter(holder, avoid, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._deal()
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                await self.leave(holder, waiter.turn.result(), None)
            raise

    async def leave(self, holder: str, server: int, outcome: Outcome | None, stop: TeacherError | None = None) -> bool:
        """Give a seat back; returns whether the run ends, which the next `seat` explains.

        Args:
            holder: the piece of work.
            server: where the request was sent.
            outcome: what came of it; none: it was given up from our side.
            stop: what every other request would be told as well.
        """
        seat = next((seat for seat in self._seats if (seat.holder, seat.server) == (holder, server)), None)
        if seat is None:
            return self._stop is not None
        if outcome is not None:
            self._servers.ended(server, outcome, began=seat.began, now=self._clock.now())
            self._look_at(server, outcome, stop)
        self._free(seat)
        self._deal()
        return self._stop is not None

    def _look_at(self, server: int, outcome: Outcome, stop: TeacherError | None) -> None:
        """Whether what came of a request ends the run."""
        found = stop
        if outcome.fault is None:
            found = found or self._count(server, outcome)
        elif outcome.fault is Fault.REFUSED:
            found = found or self._refused(server, outcome)
        elif self._servers.are_gone(most_silent=MOST_SILENT_QUESTIONS):
            has_answered = self._servers.has_answered
            found = stops.silence(self._addresses, outcome.said, fault=outcome.fault, has_answered=has_answered)
        self._stop = self._stop or found

    def _count(self, server: int, outcome: Outcome) -> TeacherError | None:
        if outcome.tokens_in is not None and outcome.tokens_out is not None:
            self._purse.spend(outcome.tokens_in, outcome.tokens_out)
        elif self._purse.is_limited:
            return stops.uncounted(self._addresses[server])
        if outcome.cause is None:
            return None
        self._breaker.add(outcome.cause, outcome.example)
        if not self._breaker.is_open():
            return None
        return stops.gone_bad(self._addresses, self._breaker.finding(), self._section.stop_bad_share or 0.0)

    def _refused(self, server: int, outcome: Outcome) -> TeacherError | None:
        found = self._servers.all[server]
        if found.refusals < (MOST_REFUSED_IN_A_ROW if found.has_answered else MOST_REFUSED_AT_FIRST):
            return None
        return stops.all_refused(
            found.address, outcome.said, found.refusals, section=self._section, models=outcome.models
        )

    def _free(self, seat: _Seat) -> None:
        self._seats.remove(seat)
        self._servers.all[seat.server].under_way -= 1

    def _pass_on(self, key: str, question: _Question) -> None:
        while question.waiting and question.holder is None:
            holder, turn = question.waiting.popleft()
            if not turn.done():
                question.holder = holder
                turn.set_result(None)
        if question.holder is None and not question.waiting:
            self._questions.pop(key, None)

    def _deal(self) -> None:
        """Give seats to those who wait, first come first served, as far as there are any."""
        while self._waiting:
            waiter = self._waiting[0]
            if waiter.turn.done():
                self._waiting.popleft()
                continue
            if self._must_stop():
                self._send_home()
                return
            now = self._clock.now()
            server = self._servers.choose(now, avoid=waiter.avoid)
            if server is None:
                self._wake_up(now)
                return
            self._waiting.popleft()
            self._servers.all[server].under_way += 1
            self._seats.append(_Seat(waiter.holder, server, now))
            waiter.turn.set_result(server)

    def _must_stop(self) -> bool:
        if self._stop is None and self._purse.is_spent(under_way=len(self._seats)):
            if self._seats and not self._purse.is_spent(under_way=0):
                return True  # not yet: those under way may turn out cheaper
            self._stop = stops.spent(self._addresses, str(self._purse))
        return self._stop is not None

    def _send_home(self) -> None:
        """Tell everyone who waits why nothing is asked any more, once the last answer under way is in."""
        if self._seats or self._stop is None:
            return
        for waiter in self._waiting:
            if not waiter.turn.done():
                waiter.turn.set_exception(copy.copy(self._stop))
        self._waiting.clear()

    def _wake_up(self, now: float) -> None:
        """Deal again when the first rest ends."""
        ends = [server.free_at() for server in self._servers.all if server.free_at() > now]
        if not ends or min(ends) >= self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = min(ends)
        self._alarm = asyncio.create_task(self._deal_after(self._alarm_at - now))

    async def _deal_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._alarm, self._alarm_at = None, math.inf
        self._deal()
