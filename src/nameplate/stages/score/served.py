"""Examining a model that a server holds. There is no loss and no choosing among names: a server only writes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Final

from PIL import Image

from nameplate.errors import ModelError
from nameplate.models.respondent import BLANK_GREY, Question
from nameplate.progress import Advance
from nameplate.stages.score.answers import Examinee
from nameplate.stages.score.checks.endings import check_endings
from nameplate.stages.score.checks.sample import MOST_ROWS
from nameplate.stages.score.checks.servers import check_engine, check_served_sight
from nameplate.stages.score.replies import Reply
from nameplate.stages.score.serving import ModelServer
from nameplate.stages.score.subjects import EvaluationRow, Subject
from nameplate.summary import SelfCheck
from nameplate.teacher.exchange import Picture

BLANK_SIDE: Final = 448


class ServedExaminee:
    """One model under examination, on a server.

    Args:
        subject: the model.
        server: has it.
        here: the same model in this process, to compare some answers with.
        max_new_tokens: longest answer.
    """

    def __init__(self, subject: Subject, *, server: ModelServer, here: Examinee, max_new_tokens: int) -> None:
        self.subject = subject
        self._server = server
        self._served = server.served(subject.name, subject.fingerprint)
        self._here = here
        self._max_new_tokens = max_new_tokens
        self._before: list[SelfCheck] = []
        self._replies: dict[Question, Reply] = {}

    @property
    def engine(self) -> str:
        """What computes the answers."""
        return self._served.engine

    @property
    def checks(self) -> list[SelfCheck]:
        """What was made sure of, before its answers and by them; of all answers so far."""
        return [
            *self._before,
            *check_endings(self.subject.name, self._replies, max_new_tokens=self._max_new_tokens),
        ]

    def replies(self, questions: Sequence[Question], advance: Advance) -> dict[Question, Reply]:
        """Answers to all questions.

        Raises:
            TeacherError: the server is not there, refuses, or has gone silent; the answers so far are kept.
        """
        found = self._server.ask(self._served, list(dict.fromkeys(questions)), advance)
        if found and not self._before:
            self._before = self._examine(found)
        self._replies |= found
        return found

    def loss(self, rows: Sequence[EvaluationRow]) -> float:
        """None that is known: a server gives no likelihood of texts."""
        del rows
        return math.nan

    def rest(self) -> None:
        """Free memory until the next question."""
        self._here.rest()

    def _examine(self, found: dict[Question, Reply]) -> list[SelfCheck]:
        name, sample = self.subject.name, sorted(found)[:MOST_ROWS]
        blank = self._server.ask_blank(self._served, _blank(), sample)
        try:
            here = self._here.unchecked(sample)
        except ModelError as error:
            sentence = f"No answers of this process to compare with: {error}."
            engine = SelfCheck(kind="engine", model=name, outcome="skipped", sentence=sentence)
        else:
            engine = check_engine(name, self.engine, [(found[each], here[each]) for each in sample])
        return [
            engine,
            check_served_sight(name, [(found[each], blank[each]) for each in sample]),
            self._server.voices.check(name, found),
        ]


def _blank() -> Picture:
    stream = io.BytesIO()
    Image.new("RGB", (BLANK_SIDE, BLANK_SIDE), BLANK_GREY).save(stream, "PNG")
    return Picture("blank", "image/png", stream.getvalue)
