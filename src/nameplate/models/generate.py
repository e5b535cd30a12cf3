"""Answers: greedy, batched, bounded, ending at the end of turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from nameplate.models.answering.decoding import Answer, Asked, Finish, Said, answers_to
from nameplate.models.answering.reading import can_read
from nameplate.models.batches import image_inputs, pad_kinds
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel

__all__ = ["Answer", "Asked", "Finish", "Said", "answer", "answer_all", "by_library", "generate"]


def answer(loaded: LoadedModel, images: ImageBatch, prompts: Sequence[str], *, max_new_tokens: int) -> list[Answer]:
    """Answer one prompt per image.

    Args:
        loaded: the model.
        images: from `vision_features`; may be used for several prompts.
        prompts: as many as images.
        max_new_tokens: longest answer.
    """
    assert len(prompts) == len(images), "one prompt per image"
    asked = [Asked(place, prompt) for place, prompt in enumerate(prompts)]
    parts = answer_all(loaded, images, asked, max_new_tokens=max_new_tokens, rows_at_once=len(asked))
    said = {each.number: each.answer for part in parts for each in part}
    return [said[number] for number in range(len(asked))]


def answer_all(
    loaded: LoadedModel, images: ImageBatch, asked: Sequence[Asked], *, max_new_tokens: int, rows_at_once: int
) -> Iterator[list[Said]]:
    """Answer any questions about some images, and give answers as they end.

    Args:
        loaded: the model.
        images: from `vision_features`.
        asked: questions; those about one image stand together, so that it is read once.
        max_new_tokens: longest answer.
        rows_at_once: most answers under way.
    """
    if can_read(loaded):
        yield from answers_to(loaded, images, asked, max_new_tokens=max_new_tokens, rows_at_once=rows_at_once)
        return
    for start in range(0, len(asked), rows_at_once):
        part = asked[start : start + rows_at_once]
        seen = images.pick([each.place for each in part])
        answers = by_library(loaded, seen, [each.prompt for each in part], max_new_tokens)
        yield [Said(number, one) for number, one in enumerate(answers, start=start)]


def generate(loaded: LoadedModel, images: ImageBatch, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
    """The texts of `answer`."""
    return [each.text for each in answer(loaded, images, prompts, max_new_tokens=max_new_tokens)]


def by_library(
    loaded: LoadedModel, images: ImageBatch, prompts: Sequence[str], max_new_tokens: int
) -> Iterator[Answer]:
    """The same by transformers' own loop, for families whose positions or masks are special, and to check ours by.

    Args:
        loaded: the model.
        images: from `vision_features`.
        prompts: as many as images; different lengths are padded on the left.
        max_new_tokens: longest answer.
    """
    processor, model = loaded.processor, loaded.model
    encoded = [processor.encode(prompt, size=size) for prompt, size in zip(prompts, images.sizes, strict=True)]
    questions = [example.input_ids for example in encoded]
    longest = max(map(len, questions))
    input_ids = torch.tensor([[processor.pad_id] * (longest - len(ids)) + ids for ids in questions])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in questions])
    batch = pad_kinds(encoded, longest, left=True) | images.merged()
    configure: Callable[..., GenerationConfig] = GenerationConfig
    config = configure(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=processor.end_id,
        pad_token_id=processor.pad_id,
    )
    writer: Any = model
    witness = _Witness()
    with torch.inference_mode():
        output = writer.generate(
            input_ids=input_ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=config,
            logits_processor=LogitsProcessorList([witness]),
            **image_inputs({name: tensor.to(model.device) for name, tensor in batch.items()}),
        )
    for row, nats in zip(output, witness.nats(), strict=True):
        yield _read(loaded, row[longest:].tolist(), nats)


class _Witness(LogitsProcessor):
    """Changes nothing, and keeps how probable the likeliest token of each step was: the one that greedy search takes.

    `output_scores` would keep the scores of the whole vocabulary: 2 GB for 64 answers of 96 tokens of a Qwen.
    """

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._steps.append(torch.logsumexp(scores, dim=-1) - scores.amax(dim=-1))
        return scores

    def nats(self) -> list[list[float]]:
        """Of each answer, the negative log likelihood of every step; those after its end mean nothing."""
        found: list[list[float]] = torch.stack(self._steps, dim=1).tolist()
        return found


def _read(loaded: LoadedModel, ids: list[int], nats: list[float]) -> Answer:
    end_id = loaded.processor.end_id
    ended = end_id in ids
    count = ids.index(end_id) + 1 if ended else len(ids)
    if not all(map(math.isfinite, nats[:count])):
        return Answer("", "nonfinite", 0.0)
    confidence = math.exp(-sum(nats[:count]) / count)
    finish: Finish = "stop" if ended else "length"
    return Answer(loaded.processor.decode(ids), finish, round(confidence, 4), tuple(ids[:count]))
