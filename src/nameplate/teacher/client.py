"""The teacher's client: a question climbs the attempt ladder; every answer is written down the moment it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nameplate.engine import Services
from nameplate.recipe import CaptionSection, SamplingSection
from nameplate.store.fingerprint import fingerprint
from nameplate.teacher import entries
from nameplate.teacher.beside import Alone
from nameplate.teacher.breaker import Judged, grave_cause
from nameplate.teacher.budget import series_of
from nameplate.teacher.desk import DESK, desk_makers
from nameplate.teacher.exchange import Exchange, Picture
from nameplate.teacher.ladder import POLICY_VERSION, Ask, Attempt, next_ask
from nameplate.teacher.line import Clock
from nameplate.teacher.patience import Arrived, Failures, Patience
from nameplate.teacher.wordings import ENGLISH, Wordings

Judge = Callable[[str, str], list[str]]
"""Problem codes of an answer, from its text (without thoughts) and its finish reason; none: a good answer."""


@dataclass(frozen=True)
class Question:
    """One row's question. The image is loaded only if the journal has no good answer.

    `template` is the id and version of the prompt's template, `image_policy` how the image is made smaller: both are
    part of the request key. `wordings` are the ladder's own sentences, in the prompt's language. Where loading is work,
    it is done beside the other questions.
    """

    image_sha256: str
    media_type: str
    load_image: Callable[[], bytes]
    prompt: str
    name: str
    template: str = ""
    image_policy: str = ""
    wordings: Wordings = ENGLISH
    loading_is_work: bool = False

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its image."""
        return (Picture(self.image_sha256, self.media_type, self.load_image, is_work=self.loading_is_work),)


@dataclass(frozen=True)
class Answer:
    """One answer as it stands in the journal. `text` is without thoughts; they are `reasoning`."""

    text: str
    finish_reason: str
    model: str
    problems: tuple[str, ...]
    reasoning: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    latency_ms: int = 0
    server: str = ""


@dataclass(frozen=True)
class Answers:
    """All answers to one question, in order, from this run and earlier ones.

    `failure` says why the question that would have come next got no answer ("" where there was none to come).
    """

    key: str
    answers: tuple[Answer, ...]
    failure: str = ""

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
        caption: servers, sampling and budget.
        journal: SQLite file of all answers; an answered attempt is never asked again.
        services: where the journal and the desk of all workers are; none: in this process, for this client alone.
        holder: the piece of work, by a name that it has again when it is tried again.
        clock: time, for a client alone.
    """

    def __init__(
        self,
        caption: CaptionSection,
        journal: Path,
        *,
        services: Services | None = None,
        holder: str = "alone",
        clock: Clock | None = None,
    ) -> None:
        self._caption = caption
        self._section = caption.teacher
        self._series = series_of(caption)
        self._path = journal
        self._services = services
        self._holder = holder
        self._clock = clock
        self._patience: Patience | None = None

    @property
    def num_sent(self) -> int:
        """Requests sent for answers, tries that got none included."""
        return self._patience.num_sent if self._patience is not None else 0

    async def __aenter__(self) -> TeacherClient:
        async with AsyncExitStack() as stack:
            services = self._services or Alone(desk_makers(self._caption, self._path, self._clock))
            self._journal = stack.enter_context(services.journal(self._path))
            self._desk = services.shared(DESK)
            # Before and after us: what an earlier try of the same work held, and what a cancelled task of ours may.
            await self._desk.ask("enter", self._holder)
            stack.push_async_callback(self._desk.ask, "enter", self._holder)
            exchange = Exchange(self._section)
            stack.push_async_callback(exchange.close)
            self._open = stack.pop_all()
        # Some wait for a seat while others are answered; a thousand that wait would only cost their beginning at once.
        self._begun = asyncio.Semaphore(2 * self._section.concurrency)
        self._patience = Patience(self._section, exchange, self._desk, self._holder)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.aclose()

    def key(self, question: Question) -> str:
        """The request key: everything that decides what is asked. The judge and the server are no part of it."""
        return fingerprint(
            question.image_sha256,
            question.image_policy,
            question.template,
            question.prompt,
            self._section.model,
            self._caption.sampling,
            POLICY_VERSION,
        )

    async def ask(self, question: Question, judge: Judge) -> Answers:
        """Climb the ladder of one question, from where the journal stands.

        Raises:
            TeacherError: the teacher is not there, refuses, has gone silent or bad, or the budget is spent.
            RunDirectoryError: the journal cannot be written.
        """
        key = self.key(question)
        async with self._held(key):
            return await self._climb(key, question, judge)

    async def converse(
        self,
        prompt: str,
        *,
        images: Sequence[Picture] = (),
        sampling: SamplingSection | None = None,
        label: str = "converse",
    ) -> Answers:
        """Ask one thing once: no ladder, no judge, and nothing for the breaker; journal, servers and budget as always.

        Args:
            prompt: the question.
            images: shown before it, in this order.
            sampling: none: the recipe's.
            label: what the question is for; part of its key.

        Raises:
            TeacherError: as for `ask`.
        """
        ask = Ask.first(prompt, sampling or self._caption.sampling)
        key = fingerprint(label, [image.sha256 for image in images], ask.to_json(), self._section.model)
        async with self._held(key):
            found = self._journal.attempts(key)
            failures = Failures()
            if not found:
                await self._ask_once(key, ask, images, None, found, failures)
            return _answers(key, found, failures)

    async def _climb(self, key: str, question: Question, judge: Judge) -> Answers:
        found = self._journal.attempts(key)
        first = Ask.first(question.prompt, self._caption.sampling)
        failures = Failures()
        most, wordings = self._section.max_attempts, question.wordings
        while True:
            history = [Attempt(Ask.from_json(entry["ask"]), tuple(entry["problems"])) for entry in found]
            ask = next_ask(first, history, name=question.name, max_attempts=most, wordings=wordings)
            if ask is None or not await self._ask_once(key, ask, question.pictures, judge, found, failures):
                break
        return _answers(key, found, failures)

    async def _ask_once(
        self,
        key: str,
        ask: Ask,
        pictures: Sequence[Picture],
        judge: Judge | None,
        found: list[dict[str, Any]],
        failures: Failures,
    ) -> bool:
        """Get one answer into the journal and into `found`; false where there is none to be had now."""
        assert self._patience is not None, "a client is used inside `async with`"

        def keep(arrived: Arrived) -> Judged | None:
            entry = entries.entry_of(arrived, ask, judge, series=self._series)
            self._journal.put(key, len(found) + 1, entry)
            found.append(entry)
            is_first = judge is not None and len(found) == 1
            return Judged(grave_cause(entry["problems"]), entry["raw"] or entry["text"]) if is_first else None

        failures.said = ""
        try:
            return await self._patience.send(key, ask, pictures, keep, failures)
        finally:
            if failures.counts:
                line = entries.line_key(key)
                self._journal.put(line, 1, entries.line_entry(failures, self._journal.last(line)))

    @asynccontextmanager
    async def _held(self, key: str) -> AsyncIterator[None]:
        """Hold a question, among all tasks of all workers.

        Rows may share image and prompt: the second waits for the first and finds its answers in the journal.
        """
        async with self._begun:
            await self._desk.ask("take", self._holder, key)
            try:
                yield
            finally:
                await self._desk.ask("give_back", self._holder, key)


def _answers(key: str, found: Sequence[dict[str, Any]], failures: Failures) -> Answers:
    return Answers(key, tuple(_answer(entry) for entry in found), failures.said)


def _answer(entry: dict[str, Any]) -> Answer:
    return Answer(
        text=entry["text"],
        finish_reason=entry["finish_reason"],
        model=entry["model"],
        problems=tuple(entry["problems"]),
        # Entries of the first version have no thoughts and do not say which server it was.
        reasoning=entry.get("reasoning", ""),
        usage=entry.get("usage", {}),
        latency_ms=entry.get("latency_ms", 0),
        server=entry.get("server", ""),
    )
