"""What a model makes of questions before it says a word: the logits of its answers' first tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from nameplate.models.batches import image_inputs, pad_kinds
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.processing import Encoded

TIE: Final = 4
"""Rounding steps of the greatest logit. In bfloat16 the starter's logits move by 0.8 between a batch of 16 and one by
one, so a gap by twice that; in float32 by 6, where such a step is too small to decide an answer."""


def first_logits(loaded: LoadedModel, images: ImageBatch, prompts: Sequence[str]) -> torch.Tensor:
    """Logits of the first token of the answer to one prompt per image.

    Args:
        loaded: the model.
        images: from `vision_features`.
        prompts: as many as images.

    Returns:
        (num_images, vocabulary) float32 on the CPU.
    """
    encoded = [loaded.processor.encode(prompt, size=size) for prompt, size in zip(prompts, images.sizes, strict=True)]
    return _last_logits(loaded, images, encoded)


def is_tie(loaded: LoadedModel, images: ImageBatch, prompt: str, one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether rounding can decide between two answers, by the logits of the first tokens in which they differ.

    Args:
        loaded: the model.
        images: one, from `vision_features`.
        prompt: the question.
        one: the tokens of an answer to it, as they were said.
        other: those of another one.
    """
    same = next((place for place, both in enumerate(zip(one, other, strict=False)) if len(set(both)) > 1), None)
    if same is None:
        # One of them was never said: its logits were no numbers.
        return False
    question = loaded.processor.encode(prompt, size=images.sizes[0])
    said = list(one[:same])
    kinds = {name: [*values, *[0] * same] for name, values in question.kinds.items()}
    read = Encoded(question.input_ids + said, question.labels + said, kinds)
    (logits,) = _last_logits(loaded, images, [read])
    gap = (logits[one[same]] - logits[other[same]]).abs()
    return bool(gap <= TIE * torch.finfo(loaded.model.dtype).eps * logits.abs().max())


def _last_logits(loaded: LoadedModel, images: ImageBatch, encoded: Sequence[Encoded]) -> torch.Tensor:
    processor, model = loaded.processor, loaded.model
    questions = [example.input_ids for example in encoded]
    longest = max(map(len, questions))
    ids = torch.tensor([[processor.pad_id] * (longest - len(own)) + own for own in questions])
    mask = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for own in questions])
    batch = pad_kinds(encoded, longest, left=True) | images.merged()
    foreign: Any = model
    with torch.inference_mode():
        output = foreign(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            logits_to_keep=1,
            **image_inputs({name: tensor.to(model.device) for name, tensor in batch.items()}),
        )
    logits: torch.Tensor = output.logits[:, -1].float().cpu()
    return logits
