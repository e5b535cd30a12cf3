"""The teacher's client: a question climbs the attempt ladder; every answer is written down the moment it arrives."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from nameplate.engine import LocalServices, Services
from nameplate.errors import TeacherError
from nameplate.recipe import SamplingSection, TeacherSection
from nameplate.records import CleanReason
from nameplate.store.fingerprint import fingerprint
from nameplate.teacher.desk import DESK, SEAT, desk_makers
from nameplate.teacher.exchange import Exchange, Reply, TemporaryFailure
from nameplate.teacher.ladder import POLICY_VERSION, Ask, Attempt, next_ask, problems_of_finish
from nameplate.teacher.line import MAX_TRIES, pause_seconds

Judge = Callable[[str, str], list[str]]
"""Problem codes of an answer, from its text and its finish reason; none: a good answer."""

MOST_SILENT_QUESTIONS: Final = 3
"""So many questions in a row without any answer mean that the teacher is gone, not that one picture is hard."""


@dataclass(frozen=True)
class Question:
    """One row's question. The image is loaded only if the journal has no good answer."""

    image_sha256: str
    media_type: str
    load_image: Callable[[], bytes]
    prompt: str
    name: str


@dataclass(frozen=True)
class Answer:
    """One answer as it stands in the journal."""

    text: str
    finish_reason: str
    model: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """All answers to one question, in order, from this run and earlier ones."""

    key: str
    answers: tuple[Answer, ...]

    @property
    def best(self) -> Answer | None:
        """The last answer that has any text: a good one ends the ladder, so it is always the last."""
        return next((answer for answer in reversed(self.answers) if answer.text.strip()), None)

    @property
    def first_problem(self) -> str | None:
        """What was wrong with the first answer, if anything."""
        return self.answers[0].problems[0] if self.answers and self.answers[0].problems else None


class TeacherClient:
    """Asks one teacher; use as `async with`, once per event loop.

    Args:
        section: the server.
        sampling: how it samples its first answer.
        journal: SQLite file of all answers; an answered attempt is never asked again.
        services: where the journal and the desk of all workers are; none: in this process, for this client alone.
        holder: the piece of work, by a name that it has again when it is tried again.
        pause: waits between tries of a request; tests pass their own.
    """

    def __init__(
        self,
        section: TeacherSection,
        sampling: SamplingSection,
        journal: Path,
        *,
        services: Services | None = None,
        holder: str = "alone",
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._section = section
        self._sampling = sampling
        self._path = journal
        self._services = services
        self._holder = holder
        self._pause = pause
        self._rng = random.Random()
        self.num_sent = 0
        """Requests sent for captions, tries that got no answer included."""
        self._num_answered = 0
        self._silent_in_a_row = 0
        self._simulated: bool | None = None

    async def __aenter__(self) -> TeacherClient:
        async with AsyncExitStack() as stack:
            services = self._services
            if services is None:
                services = own = LocalServices(desk_makers(self._section))
                stack.callback(own.close)
            self._journal = stack.enter_context(services.journal(self._path))
            self._desk = services.shared(DESK)
            await self._desk.ask("enter", self._holder)
            self._exchange = Exchange(self._section)
            stack.push_async_callback(self._exchange.close)
            self._open = stack.pop_all()
        self._slots = asyncio.Semaphore(self._section.concurrency)
        self._greeting = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._quiet_until = 0.0
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.aclose()

    def key(self, question: Question) -> str:
        """The request key: everything that decides what is asked. The judge is no part of it."""
        return fingerprint(question.image_sha256, question.prompt, self._section.model, self._sampling, POLICY_VERSION)

    async def ask(self, question: Question, judge: Judge) -> Answers:
        """Climb the ladder of one question, from where the journal stands.

        Raises:
            TeacherError: the teacher is not there, refuses, or has gone silent.
            RunDirectoryError: the journal cannot be written.
        """
        key = self.key(question)
        # Rows may share image and prompt: the second waits for the first and finds its answers in the journal.
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock, self._held(key):
            return await self._climb(key, question, judge)

    async def is_simulated(self) -> bool:
        """Whether the server says that it is a simulator; asked once.

        Raises:
            TeacherError: the teacher is not there.
        """
        async with self._greeting:
            if self._simulated is None:
                try:
                    self._simulated = await self._exchange.is_simulated()
                except TemporaryFailure as failure:
                    raise self._not_there(failure) from None
            return self._simulated

    async def _climb(self, key: str, question: Question, judge: Judge) -> Answers:
        entries = self._journal.attempts(key)
        first = Ask.first(question.prompt, self._sampling)
        while True:
            history = [Attempt(Ask.from_json(entry["ask"]), tuple(entry["problems"])) for entry in entries]
            ask = next_ask(first, history, name=question.name, max_attempts=self._section.max_attempts)
            if ask is None:
                break
            simulated = await self.is_simulated()
            reply = await self._send_patiently(ask, question)
            if reply is None:
                break
            entry = {
                **asdict(reply),
                "problems": _problems(reply, judge),
                "ask": ask.to_json(),
                "simulated": simulated,
            }
            self._journal.put(key, len(entries) + 1, entry)
            entries.append(entry)
        return Answers(key, tuple(_answer(entry) for entry in entries))

    @asynccontextmanager
    async def _held(self, name: str) -> AsyncIterator[None]:
        """Hold a question, or a seat, among all workers."""
        await self._desk.ask("take", self._holder, name)
        try:
            yield
        finally:
            await self._desk.ask("give_back", self._holder, name)

    async def _send_patiently(self, ask: Ask, question: Question) -> Reply | None:
        """Send one request until it is answered; None when this one question is not to be answered now."""
        spent = 0
        while True:
            async with self._slots:
                await self._keep_quiet()
                try:
                    async with self._held(SEAT):
                        self.num_sent += 1
                        # Encoded anew for each try: only questions under way hold their image in memory.
                        reply = await self._exchange.send(ask, _data_uri(question))
                except TemporaryFailure as caught:
                    failure = caught
                else:
                    self._num_answered += 1
                    self._silent_in_a_row = 0
                    return reply
            # A timeout has already cost a whole `timeout_seconds`, so it counts twice.
            spent += 2 if failure.timed_out else 1
            if spent >= MAX_TRIES:
                self._give_up(failure)
                return None
            seconds = pause_seconds(spent, failure.retry_after, rng=self._rng)
            if failure.retry_after is not None:
                self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + seconds)
            await self._pause(seconds)

    async def _keep_quiet(self) -> None:
        """A teacher that said Retry-After to one question means them all."""
        seconds = self._quiet_until - asyncio.get_running_loop().time()
        if seconds > 0:
            await self._pause(seconds)

    def _give_up(self, failure: TemporaryFailure) -> None:
        self._silent_in_a_row += 1
        if self._num_answered == 0 or self._silent_in_a_row >= MOST_SILENT_QUESTIONS:
            raise TeacherError(
                f"teacher at {self._exchange.address}",
                found=f"it does not answer any more ({failure})",
                fix="look at its log, then run the same command again; the answers so far are kept",
            )

    def _not_there(self, failure: TemporaryFailure) -> TeacherError:
        return TeacherError(
            f"teacher at {self._exchange.address}",
            found=f"nothing answers there ({failure})",
            expected="an OpenAI-compatible server",
            fix="start it, or set caption.teacher.base_url to its address, and run the same command again",
        )


def _problems(reply: Reply, judge: Judge) -> list[str]:
    """The judge's codes, then the server's own; silence is a problem whatever the judge says."""
    found = [CleanReason.EMPTY.value] if not reply.text.strip() else list(judge(reply.text, reply.finish_reason))
    return list(dict.fromkeys([*found, *problems_of_finish(reply.finish_reason)]))


def _answer(entry: dict[str, Any]) -> Answer:
    return Answer(entry["text"], entry["finish_reason"], entry["model"], tuple(entry["problems"]))


def _data_uri(question: Question) -> str:
    return f"data:{question.media_type};base64,{base64.b64encode(question.load_image()).decode('ascii')}"
