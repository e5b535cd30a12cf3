"""One request until it is answered, refused, or not worth another try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from nameplate.engine.services import Shared
from nameplate.errors import TeacherError
from nameplate.recipe import TeacherSection
from nameplate.teacher import stops
from nameplate.teacher.breaker import Judged
from nameplate.teacher.budget import tokens_of
from nameplate.teacher.exchange import Exchange, Picture, Sent
from nameplate.teacher.faults import Fault, NoAnswer
from nameplate.teacher.ladder import Ask
from nameplate.teacher.line import MAX_TRIES
from nameplate.teacher.reply import one_line
from nameplate.teacher.servers import Outcome

LONGEST_EXAMPLE: Final = 100


@dataclass(frozen=True)
class Arrived:
    """An answer, and who gave it."""

    sent: Sent
    server: str
    is_simulated: bool


@dataclass
class Failures:
    """What went wrong on the line for one question: each kind once, with how often and what was said last."""

    counts: Counter[tuple[str, int | None, str]] = field(default_factory=Counter)
    said: str = ""

    def add(self, failure: NoAnswer, server: str) -> None:
        """One more."""
        self.counts[failure.fault.value, failure.status, server] += 1
        self.said = str(failure)


Keep = Callable[[Arrived], Judged | None]
"""Writes an answer down; returns what the breaker must know of it."""


class _Tried(NamedTuple):
    failure: NoAnswer | None
    is_over: bool


class Patience:
    """Sends requests, as the desk allows.

    Args:
        section: the teacher.
        exchange: connections to its servers.
        desk: of all workers.
        holder: our piece of work.
    """

    def __init__(self, section: TeacherSection, exchange: Exchange, desk: Shared, holder: str) -> None:
        self._section = section
        self._exchange = exchange
        self._desk = desk
        self._holder = holder
        self.num_sent = 0
        """Requests sent, tries that got no answer included."""

    async def send(self, key: str, ask: Ask, pictures: Sequence[Picture], keep: Keep, failures: Failures) -> bool:
        """Send one request until it is answered; false when this question is not to be answered now.

        Args:
            key: of the question.
            ask: what is asked.
            pictures: loaded anew for each try: only requests under way hold theirs in memory.
            keep: called with the answer before anything else happens.
            failures: what goes wrong is added here.

        Raises:
            TeacherError: nothing is asked any more.
        """
        spent, avoid = 0, None
        while True:
            server: int = await self._desk.ask("seat", self._holder, avoid)
            failure, is_over = await self._try(server, key, ask, pictures, keep)
            if failure is None:
                return True
            failures.add(failure, self._exchange.addresses[server])
            if is_over:
                continue  # the desk says why, when the answers under way are in
            if failure.fault is Fault.REFUSED:
                return False
            # A timeout has already cost a whole `timeout_seconds`, so it counts twice.
            spent += 2 if failure.fault is Fault.TIMED_OUT else 1
            if spent >= MAX_TRIES:
                return False
            avoid = server

    async def _try(self, server: int, key: str, ask: Ask, pictures: Sequence[Picture], keep: Keep) -> _Tried:
        """One try, with the seat that it has; the seat is given back whatever happens."""
        outcome: Outcome | None = None
        stop: TeacherError | None = None
        failure: NoAnswer | None = None
        try:
            arrived = await self._arrive(server, ask, pictures)
            outcome = _answered(arrived, keep(arrived))
        except NoAnswer as caught:
            failure = caught
            stop, outcome = self._fatal(server, failure), self._failed(server, failure, key)
        finally:
            is_over: bool = await self._desk.ask("leave", self._holder, server, outcome, stop)
        return _Tried(failure, is_over)

    async def _arrive(self, server: int, ask: Ask, pictures: Sequence[Picture]) -> Arrived:
        is_simulated = await self._exchange.is_simulated(server)
        self.num_sent += 1
        sent = await self._exchange.send(server, ask, pictures)
        return Arrived(sent, self._exchange.addresses[server], is_simulated)

    def _failed(self, server: int, failure: NoAnswer, key: str) -> Outcome:
        models = self._exchange.models(server) if failure.fault is Fault.REFUSED else ()
        said, retry_after = str(failure), failure.retry_after
        return Outcome(failure.fault, said=said, question=key, retry_after=retry_after, models=models)

    def _fatal(self, server: int, failure: NoAnswer) -> TeacherError | None:
        if failure.fault is not Fault.FATAL:
            return None
        return stops.refused(
            self._exchange.addresses[server],
            str(failure),
            status=failure.status,
            section=self._section,
            models=self._exchange.models(server),
        )


def _answered(arrived: Arrived, judged: Judged | None) -> Outcome:
    reply = arrived.sent.reply
    tokens_in, tokens_out = tokens_of(reply.usage)
    return Outcome(
        seconds=arrived.sent.seconds,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cause=judged.cause if judged is not None else None,
        example=one_line(judged.example, LONGEST_EXAMPLE) if judged is not None and judged.cause else "",
    )
