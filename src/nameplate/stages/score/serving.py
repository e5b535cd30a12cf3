"""Answers through an OpenAI-compatible server that holds base and checkpoints, each under its own name."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from nameplate.errors import ModelError, TeacherError
from nameplate.models.images import ImageKey
from nameplate.models.respondent import Question
from nameplate.progress import Advance
from nameplate.recipe import CaptionSection, SamplingSection, ServerSection, TeacherSection
from nameplate.stages.score.checks.servers import Voices
from nameplate.stages.score.replies import FAILED, Reply
from nameplate.store.fingerprint import fingerprint
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.teacher.client import Answer, TeacherClient
from nameplate.teacher.exchange import Picture
from nameplate.teacher.greeting import Greeting, greet

_MEDIA_TYPES: Final = {"jpg": "image/jpeg", "tif": "image/tiff"}
_FIELDS: Final = {
    "caption.teacher.base_urls": "score.server.base_url",
    "caption.teacher.model": "score.server.model",
    "caption.teacher.api_key_env": "score.server.api_key_env",
    "caption.sampling": "score",
    "caption.teacher": "score.server",
}
"""What the client's errors call the recipe's fields, and what they are here."""


class Served(NamedTuple):
    """One model as a server has it."""

    address: str
    """Of the server."""
    model: str
    """Its name there."""
    engine: str
    """Server, model and software: answers of two engines are never mixed."""
    weights: str
    """Fingerprint of the folder that it is said to be."""


class ModelServer:
    """A server, or one for each model, that was found to have every model it will be asked for.

    Args:
        section: where it is.
        greetings: what was said at each address.
        images: the store that they are sent from, as they are kept.
        journal: SQLite file of answers; what is in it is not asked again.
        max_new_tokens: longest answer.
    """

    def __init__(
        self,
        section: ServerSection,
        greetings: Mapping[str, Greeting],
        *,
        images: ImageStore,
        journal: Path,
        max_new_tokens: int,
    ) -> None:
        self._section = section
        self._greetings = greetings
        self._images = images
        self._journal = journal
        self.voices = Voices()
        """Of the models that it was asked for so far."""
        self._sampling = SamplingSection(temperature=0.0, top_p=1.0, max_tokens=max_new_tokens)

    @classmethod
    def find(
        cls,
        section: ServerSection,
        checkpoints: Sequence[str],
        *,
        images: ImageStore,
        journal: Journal,
        max_new_tokens: int,
    ) -> ModelServer:
        """Greet a server. One that is gone is taken at its last word: what it answered before needs it no more.

        Raises:
            TeacherError: nothing answers there, and it never did.
            ModelError: a model is not served.
        """
        addresses = dict.fromkeys(_fill(section.base_url, checkpoint) for checkpoint in checkpoints)
        greetings = {address: _greeting(_teacher(section, address, ""), journal) for address in addresses}
        _check_offers(section, greetings, checkpoints)
        return cls(section, greetings, images=images, journal=journal.path, max_new_tokens=max_new_tokens)

    def served(self, checkpoint: str, weights: str) -> Served:
        """One model.

        Args:
            checkpoint: its name.
            weights: fingerprint of its folder.
        """
        address, model = _fill(self._section.base_url, checkpoint), _fill(self._section.model, checkpoint)
        greeting = self._greetings[address]
        software = f" ({greeting.software})" if greeting.software else ""
        return Served(address, model, f"server {greeting.address} {model}{software}", weights)

    def ask(self, served: Served, questions: Sequence[Question], advance: Advance) -> dict[Question, Reply]:
        """Ask one model; a question that gets no answer, however often it is sent, has failed.

        Raises:
            TeacherError: the server is not there, refuses, or has gone silent; the answers so far are kept.
        """
        return self._run(served, {each: self._picture(each.image) for each in questions}, advance)

    def ask_blank(self, served: Served, picture: Picture, questions: Sequence[Question]) -> dict[Question, Reply]:
        """The same questions about another picture.

        Raises:
            TeacherError: see `ask`.
        """
        return self._run(served, dict.fromkeys(questions, picture), lambda _: None)

    def _picture(self, image: ImageKey) -> Picture:
        media_type = _MEDIA_TYPES.get(image.ext, f"image/{image.ext}")
        return Picture(image.sha256, media_type, partial(self._images.read, *image))

    def _run(self, served: Served, asked: dict[Question, Picture], advance: Advance) -> dict[Question, Reply]:
        try:
            return asyncio.run(self._ask_all(served, asked, advance))
        except TeacherError as error:
            raise _reworded(error) from None

    async def _ask_all(self, served: Served, asked: dict[Question, Picture], advance: Advance) -> dict[Question, Reply]:
        caption = CaptionSection(teacher=_teacher(self._section, served.address, served.model), sampling=self._sampling)
        label = fingerprint("score", served.engine, served.weights)
        async with TeacherClient(caption, self._journal) as client:

            async def ask(question: Question, picture: Picture) -> Reply:
                answers = await client.converse(question.prompt, images=[picture], label=label)
                advance(1)
                return _reply(answers.answers[-1]) if answers.answers else Reply("", FAILED, None)

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = {question: group.create_task(ask(question, picture)) for question, picture in asked.items()}
            except BaseExceptionGroup as failures:
                # They all fail for the same reason: the server is gone, or the disk is full.
                raise failures.exceptions[0] from None
        return {question: task.result() for question, task in tasks.items()}


def _fill(pattern: str, checkpoint: str) -> str:
    return pattern.replace("{checkpoint}", checkpoint)


def _teacher(section: ServerSection, address: str, model: str) -> TeacherSection:
    return TeacherSection(
        base_urls=(address,),
        model=model,
        api_key_env=section.api_key_env,
        concurrency=section.concurrency,
        reading="none",
    )


def _greeting(teacher: TeacherSection, journal: Journal) -> Greeting:
    key = fingerprint("greeting", teacher.base_urls)
    try:
        greeting = asyncio.run(greet(teacher))
    except TeacherError as error:
        kept = journal.last(key)
        if kept is None:
            fix = "start it (docs/self-checks.md says how), or set score.server.base_url to its address"
            raise TeacherError(error.where, found=error.found, expected="a server of models", fix=fix) from None
        return Greeting(kept["address"], tuple(kept["models"]), kept["software"])
    journal.put(key, 0, greeting._asdict())
    return greeting


def _check_offers(section: ServerSection, greetings: Mapping[str, Greeting], checkpoints: Sequence[str]) -> None:
    missing: dict[str, list[str]] = defaultdict(list)
    for checkpoint in checkpoints:
        address, model = _fill(section.base_url, checkpoint), _fill(section.model, checkpoint)
        # A server without a list may have them all.
        if greetings[address].models and model not in greetings[address].models:
            missing[address].append(model)
    if missing:
        said = [
            f"{greetings[address].address} does not serve {', '.join(models)} (it has "
            f"{', '.join(greetings[address].models)})"
            for address, models in missing.items()
        ]
        raise ModelError(
            "score.server",
            found="; ".join(said),
            fix="serve each checkpoint under its name, or set score.server.model to the pattern of the names there are",
        )


def _reply(answer: Answer) -> Reply:
    # What a filter of the server left of an answer is not the model's.
    if answer.finish_reason == "content_filter":
        return Reply("", FAILED, None)
    return Reply(answer.text.strip(), "length" if answer.finish_reason == "length" else "stop", None)


def _reworded(error: TeacherError) -> TeacherError:
    """The client speaks of captions, and of their part of the recipe."""
    expected, fix = error.expected, error.fix
    for theirs, ours in _FIELDS.items():
        expected, fix = expected.replace(theirs, ours), fix.replace(theirs, ours)
    where = error.where.replace("teacher at", "score.server at")
    return TeacherError(where, found=error.found, expected=expected, fix=fix)
