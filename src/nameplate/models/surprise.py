"""How much a text surprises a model: the loss of each of its tokens, with the characters that the token stands for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from nameplate.models.batches import Batch, collate, image_inputs
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.precision import autocast
from nameplate.models.processing import IGNORED, Encoded, Processor

PLACES_AT_ONCE: Final = 512
"""Logits of so many tokens at a time: with a vocabulary of 150 thousand a whole batch would take gigabytes."""


class TokenLoss(NamedTuple):
    """One token of a text: where it stands in it, and its negative log likelihood in nats."""

    start: int
    end: int
    nats: float


def token_losses(loaded: LoadedModel, images: ImageBatch, prompt: str, texts: Sequence[str]) -> list[list[TokenLoss]]:
    """Read each text as the answer to `prompt` about one image; the end of turn is left out.

    Args:
        loaded: the model.
        images: from `vision_features`, as many as texts.
        prompt: the question.
        texts: the answers.
    """
    encoded = _encode(loaded.processor, images, prompt, texts)
    return [
        [TokenLoss(*place, round(nats, 4)) for place, nats in zip(_places(loaded.processor, each), own, strict=True)]
        for each, own in zip(encoded, _losses(loaded, images, encoded), strict=True)
    ]


def text_losses(loaded: LoadedModel, images: ImageBatch, prompt: str, texts: Sequence[str]) -> list[float]:
    """The same, summed over each text."""
    encoded = _encode(loaded.processor, images, prompt, texts)
    return [round(sum(own), 4) for own in _losses(loaded, images, encoded)]


def _encode(processor: Processor, images: ImageBatch, prompt: str, texts: Sequence[str]) -> list[Encoded]:
    return [processor.encode(prompt, text, size=size) for text, size in zip(texts, images.sizes, strict=True)]


def _losses(loaded: LoadedModel, images: ImageBatch, encoded: Sequence[Encoded]) -> list[list[float]]:
    """Of every answer token but the end of turn, text by text."""
    losses = _computed(loaded, collate(encoded, loaded.processor.pad_id) | images.merged()).tolist()
    found, start = [], 0
    for each in encoded:
        count = sum(label != IGNORED for label in each.labels)
        found.append(losses[start : start + count - 1])
        start += count
    return found


def _computed(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    """(K,): of all `positions`, zero in the padding at their end."""
    foreign: Any = loaded.model
    moved = {name: tensor.to(loaded.model.device) for name, tensor in batch.items()}
    with torch.inference_mode(), autocast(loaded.model.device):
        output = foreign.base_model(input_ids=moved["input_ids"], use_cache=False, **image_inputs(moved))
        hidden = output.last_hidden_state.flatten(0, 1).index_select(0, moved["positions"])
        head: nn.Module = foreign.get_output_embeddings()
        both = (hidden, moved["targets"])
        parts = zip(*(torch.split(each, PLACES_AT_ONCE) for each in both), strict=True)
        losses = [
            functional.cross_entropy(head(places).float(), targets, ignore_index=IGNORED, reduction="none")
            for places, targets in parts
        ]
    return torch.cat(losses).cpu()


def _places(processor: Processor, encoded: Encoded) -> list[tuple[int, int]]:
    """Where each answer token stands in the text: after so many characters as all before it decode to."""
    ids = [label for label in encoded.labels if label != IGNORED][:-1]
    ends = [len(str(processor.tokenizer.decode(ids[:count]))) for count in range(len(ids) + 1)]
    return list(pairwise(ends))
