"""How probable a model finds each of some given answers to one question about an image, compared with the others.

The question with its image is read once; the answers continue from its cache. Only for InternVL: its positions continue
by themselves, while other families count them in ways of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import nn
from transformers import DynamicCache, InternVLForConditionalGeneration

from nameplate.models.batches import image_inputs
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.precision import autocast
from nameplate.models.processing import IGNORED

LOGITS_AT_ONCE: Final = 1 << 26
"""256 MB of them: about 80 pairs of an image and an answer with a vocabulary of 150 thousand."""
ROWS_AT_ONCE: Final = 1024
"""Such pairs, each with a copy of its question's cache, however small the vocabulary is."""


class _Read(NamedTuple):
    """Questions that were read: what goes on from them."""

    cache: DynamicCache
    mask: torch.Tensor
    """(B, T): left padding is 0."""
    first: torch.Tensor
    """(B, vocabulary): log probabilities of an answer's first token."""


def can_compare(loaded: LoadedModel) -> bool:
    """Whether `answer_shares` knows the model's family."""
    return isinstance(loaded.model, InternVLForConditionalGeneration)


def answer_shares(loaded: LoadedModel, images: ImageBatch, prompt: str, answers: Sequence[str]) -> torch.Tensor:
    """Probability of each answer, whole and with its end of turn, over the sum of those of all answers.

    Args:
        loaded: of a family that `can_compare` knows.
        images: from `vision_features`.
        prompt: the question.
        answers: at least one, all different.

    Returns:
        (num_images, num_answers) float32 on the CPU; each row adds up to 1.
    """
    assert can_compare(loaded), "positions of other families do not continue by themselves"
    device = loaded.model.device
    labels = [_answer_ids(loaded, images, prompt, answer) for answer in answers]
    longest = max(map(len, labels))
    targets = torch.tensor([[*own, *[IGNORED] * (longest - len(own))] for own in labels], device=device)
    foreign: Any = loaded.model
    logits = longest * int(foreign.get_output_embeddings().weight.shape[0])
    step = max(1, min(ROWS_AT_ONCE, LOGITS_AT_ONCE // logits) // len(images))
    with torch.inference_mode(), autocast(device):
        read = _read(loaded, images, prompt)
        parts = [_log_likelihoods(loaded, read, part) for part in torch.split(targets, step)]
    return torch.cat(parts, dim=1).softmax(dim=1).cpu()


def _answer_ids(loaded: LoadedModel, images: ImageBatch, prompt: str, answer: str) -> list[int]:
    encoded = loaded.processor.encode(prompt, answer, size=images.sizes[0])
    return [label for label in encoded.labels if label != IGNORED]


def _read(loaded: LoadedModel, images: ImageBatch, prompt: str) -> _Read:
    processor, device = loaded.processor, loaded.model.device
    questions = [processor.encode(prompt, size=size).input_ids for size in images.sizes]
    longest = max(map(len, questions))
    ids = torch.tensor([[*[processor.pad_id] * (longest - len(own)), *own] for own in questions], device=device)
    mask = torch.tensor([[*[0] * (longest - len(own)), *[1] * len(own)] for own in questions], device=device)
    inputs = image_inputs({name: tensor.to(device) for name, tensor in images.merged().items()})
    foreign: Any = loaded.model
    output = foreign.base_model(input_ids=ids, attention_mask=mask, use_cache=True, **inputs)
    return _Read(output.past_key_values, mask, _log_probabilities(foreign, output.last_hidden_state[:, -1]))


def _log_likelihoods(loaded: LoadedModel, read: _Read, targets: torch.Tensor) -> torch.Tensor:
    """(B, N) of N answers, (N, M) with `IGNORED` behind their ends, to B questions."""
    num_images, num_answers = len(read.mask), len(targets)
    cache = copy.deepcopy(read.cache)
    cache.batch_repeat_interleave(num_answers)
    known = targets.clamp(min=0)
    mask = torch.cat(
        [
            read.mask.repeat_interleave(num_answers, dim=0),
            (targets[:, :-1] != IGNORED).long().repeat(num_images, 1),
        ],
        dim=1,
    )
    foreign: Any = loaded.model
    output = foreign.base_model(
        input_ids=known[:, :-1].repeat(num_images, 1), attention_mask=mask, past_key_values=cache, use_cache=True
    )
    later = _log_probabilities(foreign, output.last_hidden_state).view(num_images, num_answers, len(targets[0]) - 1, -1)
    places = known[None, :, 1:, None].expand(num_images, -1, -1, 1)
    taken = later.gather(-1, places).squeeze(-1).masked_fill(targets[None, :, 1:] == IGNORED, 0.0)
    first: torch.Tensor = read.first[:, known[:, 0]]
    return first + taken.sum(dim=-1)


def _log_probabilities(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    head: nn.Module = model.get_output_embeddings()
    logits: torch.Tensor = head(hidden)
    return logits.float().log_softmax(dim=-1)
