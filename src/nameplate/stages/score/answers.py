"""Examining one model in this process: it is checked before it is believed, and its loss on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from nameplate.models.batches import collate, loss_sum, num_answer_tokens
from nameplate.models.checkpoint import read_notes
from nameplate.models.images import ImageCache
from nameplate.models.precision import autocast, compute_dtype
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.prompts import Prompts
from nameplate.models.respondent import Question, Respondent, parts
from nameplate.progress import Advance
from nameplate.stages.score.checks.canary import Canaries, Canary
from nameplate.stages.score.checks.endings import check_endings
from nameplate.stages.score.checks.reading import check_reading
from nameplate.stages.score.checks.sample import MOST_TOKENS, Sample, choose_rows
from nameplate.stages.score.checks.trial import Trial, run_trial
from nameplate.stages.score.replies import Reply
from nameplate.stages.score.subjects import BASE, EvaluationRow, Subject
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal
from nameplate.summary import SelfCheck

CHECKS_VERSION: Final = 1


class Examinee:
    """One model under examination. It is loaded when the journal lacks something, and checked before it is believed.

    Args:
        subject: the model.
        images: thumbnails, shared by all models of a run.
        journal: of answers, losses and checks.
        prompts: texts of the questions.
        max_new_tokens: longest answer.
        batch_size: images per batch.
        kept: outputs of a vision tower that several of the models have; none: each computes its own.
        canaries: of the models examined before it; none: it is the only one.
    """

    engine = "transformers"
    """What computes the answers."""

    def __init__(
        self,
        subject: Subject,
        *,
        images: ImageCache,
        journal: Journal,
        prompts: Prompts,
        max_new_tokens: int,
        batch_size: int,
        kept: PrefixStore | None = None,
        canaries: Canaries | None = None,
    ) -> None:
        self.subject = subject
        self.respondent = Respondent(
            subject.folder,
            weights=subject.fingerprint,
            images=images,
            journal=journal,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            kept=kept,
        )
        self._journal = journal
        self._prompts = prompts
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size
        self._canaries = canaries or Canaries()
        self._processor = images.processor
        # Not the cheapest thing, and the same for every key.
        self._processing = images.processor.fingerprint
        self._before: list[SelfCheck] = []
        self._replies: dict[Question, Reply] = {}

    @property
    def checks(self) -> list[SelfCheck]:
        """What was made sure of, before its answers and by them; of all answers so far."""
        return [
            *self._before,
            *check_endings(self.subject.name, self._replies, max_new_tokens=self._max_new_tokens),
        ]

    def replies(self, questions: Sequence[Question], advance: Advance) -> dict[Question, Reply]:
        """Answers to all questions; the same image is looked at once for several prompts.

        Raises:
            ModelError: a check fails, see `checks`.
        """
        if questions and not self._before:
            self._before = self._examine(questions)
        found = self._ask(questions, advance)
        self._replies |= found
        return found

    def unchecked(self, questions: Sequence[Question]) -> dict[Question, Reply]:
        """Answers to a few questions, to hold others' against.

        Raises:
            ModelError: it cannot be loaded.
        """
        return self._ask(questions, lambda _: None)

    def rest(self) -> None:
        """Free memory until the next question."""
        self.respondent.rest()

    def loss(self, rows: Sequence[EvaluationRow]) -> float:
        """Next-token loss per answer token over the caption and the name question of every row."""
        identity = [(row.row_id, row.image.sha256, row.name, row.caption) for row in rows]
        texts = (self._prompts["detail"], self._prompts["name"])
        key = fingerprint("loss", self.subject.fingerprint, self._processing, str(compute_dtype()), texts, identity)
        kept = self._journal.last(key)
        if kept is None:
            kept = {"loss": self._loss(rows)}
            self._journal.put(key, 0, kept)
        return float(kept["loss"])

    def _ask(self, questions: Sequence[Question], advance: Advance) -> dict[Question, Reply]:
        answers = self.respondent.replies(questions, advance)
        return {question: Reply(one.text, one.finish, one.confidence) for question, one in answers.items()}

    def _examine(self, questions: Sequence[Question]) -> list[SelfCheck]:
        name, folder = self.subject.name, self.subject.folder
        reading = [] if name == BASE else [check_reading(name, read_notes(folder), self._processor)]
        trial = self._trial(choose_rows(questions, list(self._prompts.values())))
        canary = self._canaries.check(Canary(name, folder, trial.canary))
        return [*(check.model_copy(update={"model": name}) for check in trial.checks), canary, *reading]

    def _trial(self, rows: Sequence[Question]) -> Trial:
        """What needs the model itself, once for the same weights and rows."""
        identity = [(row.image.sha256, row.prompt) for row in rows]
        computing = (self.subject.fingerprint, self._processing, str(compute_dtype()))
        max_new_tokens = min(self._max_new_tokens, MOST_TOKENS)
        key = fingerprint("trial", CHECKS_VERSION, *computing, max_new_tokens, identity)
        kept = self._journal.last(key)
        if kept is not None:
            return Trial.from_json(kept)
        images = [row.image for row in rows]
        trial = run_trial(
            Sample(
                model=self.subject.name,
                loaded=self.respondent.loaded,
                seen=self.respondent.see(images),
                blank=self.respondent.see_blank(images),
                prompts=[row.prompt for row in rows],
                max_new_tokens=max_new_tokens,
            )
        )
        self._journal.put(key, 0, trial.to_json())
        return trial

    def _loss(self, rows: Sequence[EvaluationRow]) -> float:
        loaded = self.respondent.loaded
        processor, device = loaded.processor, loaded.model.device
        total, tokens = 0.0, 0
        for part in parts(rows, self._batch_size):
            seen = self.respondent.see([row.image for row in part])
            pairs = list(zip(part, seen.sizes, strict=True))
            for encoded in (
                [processor.encode(self._prompts["detail"], row.caption, size=size) for row, size in pairs],
                [processor.encode(self._prompts["name"], row.name, size=size) for row, size in pairs],
            ):
                batch = collate(encoded, processor.pad_id) | seen.merged()
                moved = {name: tensor.to(device) for name, tensor in batch.items()}
                with torch.inference_mode(), autocast(device):
                    total += float(loss_sum(loaded.model, moved))
                tokens += num_answer_tokens(encoded)
        return total / tokens
