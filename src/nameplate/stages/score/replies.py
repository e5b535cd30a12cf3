"""What came back to a question, whoever answered it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from nameplate.models.respondent import Question
from nameplate.progress import Advance
from nameplate.stages.score.subjects import EvaluationRow, Subject
from nameplate.summary import SelfCheck

FAILED: Final = "failed"
"""How a question ends that a server did not answer, however often it was asked."""


class Reply(NamedTuple):
    """An answer, or what there is in its place."""

    text: str
    finish: str
    """stop: the model ended its turn; length: it was cut off; nonfinite, failed: there is no answer to judge."""
    confidence: float | None
    """Geometric mean of the probabilities of its tokens; none: not known."""


class Examined(Protocol):
    """One model under examination, wherever it runs."""

    subject: Subject

    @property
    def engine(self) -> str:
        """What computes the answers."""

    @property
    def checks(self) -> list[SelfCheck]:
        """What was made sure of, of all answers so far."""

    def replies(self, questions: Sequence[Question], advance: Advance) -> dict[Question, Reply]:
        """Answers to all questions.

        Raises:
            ModelError: a check fails.
            TeacherError: its server is gone.
        """

    def loss(self, rows: Sequence[EvaluationRow]) -> float:
        """Next-token loss per answer token over the caption and the name question of every row; NaN: not known."""

    def rest(self) -> None:
        """Free memory until the next question."""
