"""Examining one model: a respondent that is checked before it is believed, and its loss on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nameplate.errors import ModelError
from nameplate.models.batches import collate, loss_sum, num_answer_tokens
from nameplate.models.generate import generate
from nameplate.models.images import ImageCache
from nameplate.models.precision import autocast, compute_dtype
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.prompts import Prompts
from nameplate.models.respondent import Question, Respondent, parts
from nameplate.progress import Advance
from nameplate.stages.score.subjects import HeldOutRow, Subject
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal

NUM_SELF_TEST = 8
MOST_DIFFERENT = 1
"""Rounding in another batch shape may turn one near tie; two are a mistake in padding or masks."""


class Examinee:
    """One model under examination. It is loaded when the journal lacks something, and checked before it is believed.

    Args:
        subject: the model.
        images: thumbnails, shared by all models of a run.
        journal: of answers and losses.
        prompts: texts of the questions.
        max_new_tokens: longest answer.
        batch_size: images per batch.
        kept: outputs of a vision tower that several of the models have; none: each computes its own.
    """

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
    ) -> None:
        self.subject = subject
        self._respondent = Respondent(
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
        # Not the cheapest thing, and the same for every key.
        self._processing = images.processor.fingerprint

    def answers(self, questions: Sequence[Question], advance: Advance) -> dict[Question, str]:
        """Answers to all questions; the same image is looked at once for several prompts.

        Raises:
            ModelError: the model answers otherwise in a batch than alone.
        """
        known = self._respondent.known(questions)
        missing = [question for question in dict.fromkeys(questions) if question not in known]
        if missing:
            self._self_test(missing[:NUM_SELF_TEST])
        return self._respondent.answers(questions, advance)

    def loss(self, rows: Sequence[HeldOutRow]) -> float:
        """Next-token loss per answer token over the caption and the name question of every row."""
        identity = [(row.row_id, row.image.sha256, row.name, row.caption) for row in rows]
        texts = (self._prompts["detail"], self._prompts["name"])
        key = fingerprint("loss", self.subject.fingerprint, self._processing, str(compute_dtype()), texts, identity)
        kept = self._journal.last(key)
        if kept is None:
            kept = {"loss": self._loss(rows)}
            self._journal.put(key, 0, kept)
        return float(kept["loss"])

    def _self_test(self, questions: Sequence[Question]) -> None:
        """The same questions in one batch, prompts of different lengths mixed, and one by one."""
        loaded, prompts = self._respondent.loaded, list(self._prompts.values())
        texts = [prompts[place % len(prompts)] for place in range(len(questions))]
        seen = self._respondent.see([question.image for question in questions])
        together = generate(loaded, seen, texts, max_new_tokens=self._max_new_tokens)
        alone = [
            generate(loaded, seen.pick([place]), [text], max_new_tokens=self._max_new_tokens)[0]
            for place, text in enumerate(texts)
        ]
        different = sum(one != other for one, other in zip(together, alone, strict=True))
        if different > MOST_DIFFERENT:
            raise ModelError(
                self.subject.name,
                found=f"{different} of {len(texts)} answers differ between a batch and one by one",
                expected=f"at most {MOST_DIFFERENT}",
                fix="report this: padding or masks are wrong for this model",
            )

    def _loss(self, rows: Sequence[HeldOutRow]) -> float:
        loaded = self._respondent.loaded
        processor, device = loaded.processor, loaded.model.device
        total, tokens = 0.0, 0
        for part in parts(rows, self._batch_size):
            seen = self._respondent.see([row.image for row in part])
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
