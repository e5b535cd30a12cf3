"""The examination: every model is asked at one go, or two, and what it says is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from nameplate.errors import ModelError
from nameplate.models.images import ImageCache
from nameplate.models.precision import compute_dtype
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.probing.closed import ClosedSet
from nameplate.models.prompts import Prompts
from nameplate.models.respondent import Question
from nameplate.progress import Advance
from nameplate.recipe import ScoreSection
from nameplate.records import SplitName
from nameplate.stages.score.answers import Examinee
from nameplate.stages.score.checks.canary import Canaries
from nameplate.stages.score.closed import ClosedAnswer, choose_names
from nameplate.stages.score.exam import Exam, why_not_choose
from nameplate.stages.score.guards import GuardAnswers, GuardRound
from nameplate.stages.score.rejudging import Judge
from nameplate.stages.score.replies import FAILED, Examined, Reply
from nameplate.stages.score.results import Prediction
from nameplate.stages.score.served import ServedExaminee
from nameplate.stages.score.serving import ModelServer
from nameplate.stages.score.subjects import BASE, HELD_OUT, EvaluationRow, Subject
from nameplate.store.journal import Journal
from nameplate.summary import SelfCheck


class Sitting(NamedTuple):
    """What one model is asked at one go."""

    judged: tuple[SplitName, ...]
    """Splits whose rows it answers; validation first, by whose rows all models are checked and compared."""
    closed: tuple[SplitName, ...]
    """Splits on which it chooses among names."""
    guards: bool
    """Whether it is asked what is not the name."""


def first_sitting(section: ScoreSection, subject: Subject) -> Sitting:
    """What is asked before the choice is made. The base may see the test split: it is no candidate."""
    is_base = subject.name == BASE
    tested: tuple[SplitName, ...] = ("test",) if is_base or section.test == "all" else ()
    trained: tuple[SplitName, ...] = () if is_base or not section.train_rows else ("train",)
    closed: tuple[SplitName, ...] = ("validation",) if section.closed_set == "all" else ()
    if is_base and section.closed_set != "off":
        closed = HELD_OUT
    return Sitting(("validation", *tested, *trained), closed, guards=True)


def last_sitting(section: ScoreSection) -> Sitting:
    """What the chosen model is asked beside."""
    closed: dict[str, tuple[SplitName, ...]] = {"off": (), "chosen": HELD_OUT, "all": ("test",)}
    return Sitting(() if section.test == "all" else ("test",), closed[section.closed_set], guards=False)


@dataclass
class Paper:
    """What one model has said so far."""

    subject: Subject
    predictions: list[Prediction] = field(default_factory=list)
    closed: list[ClosedAnswer] = field(default_factory=list)
    loss: dict[SplitName, float] = field(default_factory=dict)
    """Per answer token, by split; one that is no number is not there."""
    guards: GuardAnswers | None = None
    """None: it was not asked."""

    def answers(self, split: SplitName, prompt: str) -> list[Prediction]:
        """To one question on one split, in table order."""
        return [each for each in self.predictions if each.split == split and each.prompt == prompt]


class ExamRoom:
    """Where models are asked: the rows, the questions and the judge are the same for all.

    Args:
        section: of the recipe.
        exam: rows and questions.
        guards: asks every model what is not the name.
        prompts: texts of all questions, asked or not.
        images: of the rows.
        judge: of what answers say.
        journal: of everything that was asked before.
        kept: outputs of a vision tower that several models share.
        server: answers for the models; none: this process does.
    """

    def __init__(
        self,
        section: ScoreSection,
        *,
        exam: Exam,
        guards: GuardRound,
        prompts: Prompts,
        images: ImageCache,
        judge: Judge,
        journal: Journal,
        kept: PrefixStore | None,
        server: ModelServer | None = None,
    ) -> None:
        self.can_choose_names = True
        """Whether the family of these models can be asked to choose; known when the first one was."""
        self._section = section
        self._exam = exam
        self._guards = guards
        off = section.closed_set == "off" or server is not None or why_not_choose(exam.names)
        self._names = [] if off else exam.names
        self._prompts = prompts
        self._judge = judge
        self._images = images
        self._journal = journal
        self._kept = kept
        self._server = server
        self._canaries = Canaries()
        self._examinees: dict[str, Examined] = {}

    @property
    def checks(self) -> list[SelfCheck]:
        """What was made sure of, model by model."""
        return [check for examinee in self._examinees.values() for check in examinee.checks]

    def num_steps(self, sitting: Sitting) -> int:
        """Questions and choices of a sitting."""
        questions = {question for split in sitting.judged for question in self._exam.asked(split)}
        chosen = {(row.image, split) for split in sitting.closed if self._names for row in self._exam.rows[split]}
        return len(questions) + len(chosen) + (self._guards.num_steps if sitting.guards else 0)

    def hold(self, paper: Paper, sitting: Sitting, advance: Advance) -> None:
        """Ask a model, and add what it says to its paper.

        Raises:
            ModelError: it cannot be loaded, fails a check, or answers nothing that can be judged.
        """
        examinee = self._examinee(paper.subject)
        for split in sitting.judged:
            paper.predictions += self._answers(examinee, split, advance)
            if split in HELD_OUT:
                loss = examinee.loss(self._exam.rows[split])
                paper.loss |= {split: loss} if math.isfinite(loss) else {}
        if sitting.guards:
            paper.guards = self._guards.ask(examinee.replies, advance)
        for split in sitting.closed:
            paper.closed += self._choose(examinee, split, advance)

    def _examinee(self, subject: Subject) -> Examined:
        for name, other in self._examinees.items():
            if name != subject.name:
                # There is room for one model at a time.
                other.rest()
        if subject.name not in self._examinees:
            here = Examinee(
                subject,
                images=self._images,
                journal=self._journal,
                prompts=self._prompts,
                max_new_tokens=self._section.max_new_tokens,
                batch_size=self._section.batch_size,
                kept=self._kept if subject.shares_tower or subject.name == BASE else None,
                canaries=self._canaries,
            )
            self._examinees[subject.name] = (
                here
                if self._server is None
                else ServedExaminee(
                    subject, server=self._server, here=here, max_new_tokens=self._section.max_new_tokens
                )
            )
        return self._examinees[subject.name]

    def _answers(self, examinee: Examined, split: SplitName, advance: Advance) -> list[Prediction]:
        replies = examinee.replies(self._exam.asked(split), advance)
        predictions = [
            self._prediction(examinee, row, prompt, replies[Question(row.image, text)])
            for row in self._exam.rows[split]
            for prompt, text in self._exam.questions_of(split).items()
        ]
        if predictions and not any(each.scored for each in predictions):
            raise _nothing_to_judge(predictions)
        return predictions

    def _prediction(self, examinee: Examined, row: EvaluationRow, prompt: str, reply: Reply) -> Prediction:
        subject = examinee.subject
        judged = self._judge.judge(reply.text, row.name)
        return Prediction(
            checkpoint=subject.name,
            epoch=subject.epoch,
            split=row.split,
            row_id=row.row_id,
            image_sha256=row.image.sha256,
            name=row.name,
            prompt=prompt,
            answer=reply.text,
            verdict=judged.verdict,
            right=judged.right,
            strict=judged.strict,
            mentioned=judged.mentioned,
            finish=reply.finish,
            confidence=reply.confidence,
            weights=subject.fingerprint,
            engine=examinee.engine,
        )

    def _choose(self, examinee: Examined, split: SplitName, advance: Advance) -> list[ClosedAnswer]:
        # A server gives no likelihoods.
        if not (self._names and self.can_choose_names and isinstance(examinee, Examinee)):
            return []
        closed = ClosedSet(
            examinee.respondent,
            identity=(examinee.subject.fingerprint, self._images.processor.fingerprint, str(compute_dtype())),
            journal=self._journal,
            prompt=self._prompts["name"],
            names=self._names,
            batch_size=self._section.batch_size,
        )
        answers = choose_names(
            examinee.subject.name,
            closed,
            self._exam.rows[split],
            names=self._names,
            images=self._images,
            advance=advance,
        )
        self.can_choose_names = answers is not None
        return answers or []


def _nothing_to_judge(predictions: list[Prediction]) -> ModelError:
    first = predictions[0]
    blown_up = "a training that blew up leaves NaN in the weights: remove the checkpoint, or train with smaller rates"
    return ModelError(
        first.checkpoint,
        found=f"no answer of {len(predictions):,} on {first.split} can be judged: they ended as '{first.finish}'",
        expected="answers in finite numbers",
        fix="see why its server fails, and score again" if first.finish == FAILED else blown_up,
    )
