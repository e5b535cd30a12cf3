"""Answers: greedy, batched, bounded, ending at the end of turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from nameplate.models.batches import image_inputs, pad_kinds
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel

Finish = Literal["stop", "length"]


class Answer(NamedTuple):
    """What a model says of an image, and how it came to say it."""

    text: str
    finish: Finish
    """stop: the model ended its turn; length: it was cut off."""
    confidence: float
    """Geometric mean of the probabilities that the model gave the tokens of its answer, end of turn included."""


def answer(loaded: LoadedModel, images: ImageBatch, prompts: Sequence[str], *, max_new_tokens: int) -> list[Answer]:
    """Answer one prompt per image.

    Args:
        loaded: the model.
        images: from `vision_features`; may be used for several prompts.
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
    written = [row[longest:].tolist() for row in output]
    return [_read(loaded, ids, nats) for ids, nats in zip(written, witness.nats(), strict=True)]


def generate(loaded: LoadedModel, images: ImageBatch, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
    """The texts of `answer`."""
    return [each.text for each in answer(loaded, images, prompts, max_new_tokens=max_new_tokens)]


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
    confidence = math.exp(-sum(nats[:count]) / count)
    return Answer(loaded.processor.decode(ids), "stop" if ended else "length", round(confidence, 4))
