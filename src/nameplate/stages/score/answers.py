"""Asking one model, and never twice: answers and losses are kept in the prediction journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

import torch

from nameplate.errors import ModelError
from nameplate.models.batches import collate, loss_sum, num_answer_tokens
from nameplate.models.features import vision_features
from nameplate.models.generate import generate
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.precision import autocast, best_device, compute_dtype
from nameplate.models.prompts import Prompts
from nameplate.recipe import PromptName
from nameplate.stages.score.subjects import HeldOutRow, Subject
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal

Item = TypeVar("Item")

NUM_SELF_TEST = 8
MOST_DIFFERENT = 1
"""Rounding in another batch shape may turn one near tie; two are a mistake in padding or masks."""


class Question(NamedTuple):
    """One image and one prompt."""

    image: ImageKey
    prompt: PromptName


class Examinee:
    """One model under examination. It is loaded when the journal lacks something, and checked before it is believed.

    Args:
        subject: the model.
        images: thumbnails, shared by all models of a run.
        journal: of answers and losses.
        prompts: texts of the questions.
        max_new_tokens: longest answer.
        batch_size: images per batch.
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
    ) -> None:
        self.subject = subject
        self.images = images
        self.journal = journal
        self.prompts = prompts
        self.max_new_tokens = max_new_tokens
        self.batch_size = batch_size
        # Not the cheapest thing, and the same for every key.
        self._processing = images.processor.fingerprint

    def answers(self, questions: Sequence[Question], advance: Callable[[int], None]) -> dict[Question, str]:
        """Answers to all questions; the same image is looked at once for several prompts.

        Raises:
            ModelError: the model answers otherwise in a batch than alone.
        """
        known = {question: self._kept(question) for question in dict.fromkeys(questions)}
        advance(sum(answer is not None for answer in known.values()))
        missing = [question for question, answer in known.items() if answer is None]
        if missing:
            self._self_test(missing[:NUM_SELF_TEST])
        images = list(dict.fromkeys(question.image for question in missing))
        for part in _parts(images, self.batch_size):
            features = vision_features(self._loaded.model, self.images.pixels(part))
            for prompt in dict.fromkeys(question.prompt for question in missing):
                places = [place for place, image in enumerate(part) if known.get(Question(image, prompt), "") is None]
                for place, answer in zip(places, self._generate(features, places, prompt), strict=True):
                    question = Question(part[place], prompt)
                    known[question] = answer
                    self.journal.put(self._key(question), 0, {"answer": answer})
                advance(len(places))
        return {question: answer for question, answer in known.items() if answer is not None}

    def loss(self, rows: Sequence[HeldOutRow]) -> float:
        """Next-token loss per answer token over the caption and the name question of every row."""
        identity = [(row.row_id, row.image.sha256, row.name, row.caption) for row in rows]
        texts = (self.prompts["detail"], self.prompts["name"])
        key = fingerprint("loss", self.subject.fingerprint, self._processing, str(compute_dtype()), texts, identity)
        kept = self.journal.last(key)
        if kept is None:
            kept = {"loss": self._loss(rows)}
            self.journal.put(key, 0, kept)
        return float(kept["loss"])

    @cached_property
    def _loaded(self) -> LoadedModel:
        loaded = load_model(str(self.subject.folder), dtype=compute_dtype())
        module: torch.nn.Module = loaded.model
        module.to(best_device())
        return loaded

    def _kept(self, question: Question) -> str | None:
        entry = self.journal.last(self._key(question))
        return None if entry is None else str(entry["answer"])

    def _key(self, question: Question) -> str:
        return fingerprint(
            self.subject.fingerprint,
            question.image.sha256,
            self.prompts[question.prompt],
            self._processing,
            str(compute_dtype()),
            self.max_new_tokens,
        )

    def _generate(self, features: torch.Tensor, places: list[int], prompt: PromptName) -> list[str]:
        if not places:
            return []
        texts = [self.prompts[prompt]] * len(places)
        return generate(self._loaded, features[places], texts, max_new_tokens=self.max_new_tokens)

    def _self_test(self, questions: Sequence[Question]) -> None:
        """The same questions in one batch, prompts of different lengths mixed, and one by one."""
        prompts = list(self.prompts.values())
        texts = [prompts[place % len(prompts)] for place in range(len(questions))]
        features = vision_features(self._loaded.model, self.images.pixels([question.image for question in questions]))
        together = generate(self._loaded, features, texts, max_new_tokens=self.max_new_tokens)
        alone = [
            generate(self._loaded, features[place : place + 1], [text], max_new_tokens=self.max_new_tokens)[0]
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
        processor = self._loaded.processor
        total, tokens = 0.0, 0
        for part in _parts(rows, self.batch_size):
            features = vision_features(self._loaded.model, self.images.pixels([row.image for row in part]))
            for encoded in (
                [processor.encode(self.prompts["detail"], row.caption) for row in part],
                [processor.encode(self.prompts["name"], row.name) for row in part],
            ):
                batch = collate(encoded, processor.pad_id)
                moved = {name: tensor.to(features.device) for name, tensor in batch.items()}
                with torch.inference_mode(), autocast(features.device):
                    total += float(loss_sum(self._loaded.model, moved | {"image_features": features}))
                tokens += num_answer_tokens(encoded)
        return total / tokens


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
