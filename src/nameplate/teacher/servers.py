"""The servers of one teacher: which of them gets the next request, and which must rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nameplate.teacher.faults import OF_THE_SERVER, Fault
from nameplate.teacher.line import MAX_TRIES, pause_seconds
from nameplate.teacher.pace import Pace

PROBE_AFTER: Final = 2
"""After so many failures in a row a rested server gets one request at a time until it answers."""


@dataclass(frozen=True)
class Outcome:
    """What became of one request, as far as the other requests care.

    `seconds` is how long it took, `retry_after` how long the server asks us to stay away. Tokens are None where the
    server did not count them. `cause` and `example` are set for the first answer to a question: what was gravely
    wrong with it ("" for nothing), and its beginning. `models` are what a server that refuses offers.
    """

    fault: Fault | None = None
    said: str = ""
    question: str = ""
    seconds: float = 0.0
    retry_after: float = 0.0
    tokens_in: int | None = None
    tokens_out: int | None = None
    cause: str | None = None
    example: str = ""
    models: tuple[str, ...] = ()


class Server:
    """One server: how much it gets, and whether it rests.

    A failure makes it rest, longer each time; an answer ends the rest, unless the server itself asked for it. Requests
    that began before the last failure that was counted fail with it and do not count again.
    """

    def __init__(self, address: str, *, most: int, rng: random.Random) -> None:
        self.address = address
        self.under_way = 0
        self.failures = 0
        self.refusals = 0
        self.has_answered = False
        self.last_fault: Fault | None = None
        self.last_words = ""
        self._pace = Pace(most)
        self._rng = rng
        self._rests_until = float("-inf")
        self._stays_away_until = float("-inf")
        self._counted_at = float("-inf")

    @property
    def window(self) -> int:
        """Most requests that it gets at once now."""
        return 1 if self.failures >= PROBE_AFTER else self._pace.window

    def free_at(self) -> float:
        """When its rest ends."""
        return max(self._rests_until, self._stays_away_until)

    def has_room(self, now: float) -> bool:
        """Whether it may get one more request."""
        return now >= self.free_at() and self.under_way < self.window

    def ended(self, outcome: Outcome, *, began: float, now: float) -> None:
        """A request has ended; `under_way` still counts it."""
        self.last_words = outcome.said or self.last_words
        if outcome.fault in OF_THE_SERVER:
            self._failed(outcome, began=began, now=now)
            return
        self.failures = 0
        self._rests_until = float("-inf")
        self.refusals = self.refusals + 1 if outcome.fault is Fault.REFUSED else 0
        if outcome.fault is None:
            self.has_answered = True
            self._pace.answered(outcome.seconds, under_way=self.under_way, began=began, now=now)

    def _failed(self, outcome: Outcome, *, began: float, now: float) -> None:
        self.last_fault = outcome.fault
        if outcome.retry_after:
            self._stays_away_until = max(self._stays_away_until, now + outcome.retry_after)
        if outcome.fault in {Fault.BUSY, Fault.TIMED_OUT}:
            self._pace.busy(began=began, now=now)
        if began > self._counted_at:
            # A timeout has already cost all of `timeout_seconds`, so it counts twice.
            self.failures += 2 if outcome.fault is Fault.TIMED_OUT else 1
            self._counted_at = now
            self._rests_until = now + pause_seconds(self.failures, rng=self._rng)


class Servers:
    """All servers of the teacher.

    Args:
        addresses: as they may be shown.
        concurrency: most requests under way at once, over all of them.
        rng: spreads rests.
    """

    def __init__(self, addresses: Sequence[str], *, concurrency: int, rng: random.Random) -> None:
        self.all = [Server(address, most=concurrency, rng=rng) for address in addresses]
        self._concurrency = concurrency
        self._turn = 0
        self._silent: set[str] = set()

    @property
    def under_way(self) -> int:
        """Requests under way, over all servers."""
        return sum(server.under_way for server in self.all)

    @property
    def has_answered(self) -> bool:
        """Whether any of them ever has."""
        return any(server.has_answered for server in self.all)

    def choose(self, now: float, *, avoid: int | None) -> int | None:
        """The least loaded server that has room, ties in turn; another than `avoid` where there is one."""
        if self.under_way >= self._concurrency:
            return None
        with_room = [index for index, server in enumerate(self.all) if server.has_room(now)]
        if not with_room:
            return None
        chosen = min(
            with_room,
            key=lambda index: (index == avoid, self.all[index].under_way, (index - self._turn) % len(self.all)),
        )
        self._turn = chosen + 1
        return chosen

    def ended(self, index: int, outcome: Outcome, *, began: float, now: float) -> None:
        """A request has ended."""
        self.all[index].ended(outcome, began=began, now=now)
        if outcome.fault in OF_THE_SERVER:
            self._silent.add(outcome.question)
        elif outcome.fault is None:
            self._silent.clear()

    def are_gone(self, *, most_silent: int) -> bool:
        """Whether none of them answers any more: it is not one hard picture, and waiting has been tried."""
        if not self.has_answered and all(server.last_fault is Fault.UNREACHABLE for server in self.all):
            return True
        most = min(MAX_TRIES, most_silent) if self._only_unreadable() else MAX_TRIES
        tried = all(server.failures >= most for server in self.all)
        return tried and (not self.has_answered or len(self._silent) >= most_silent)

    def _only_unreadable(self) -> bool:
        return not self.has_answered and all(server.last_fault is Fault.UNREADABLE for server in self.all)
