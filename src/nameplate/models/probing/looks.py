"""One pass over images: what vision tower, projector and language model make of each, as one vector each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import InternVLForConditionalGeneration

from nameplate.models.batches import FEATURES, Batch, image_inputs, pad_kinds
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.precision import autocast
from nameplate.models.probing.view import View

Look = dict[View, torch.Tensor]
"""Vectors of one image, (width,) float32 on the CPU; a view that the model's family does not give is left out."""


def look(loaded: LoadedModel, images: ImageBatch, prompt: str) -> list[Look]:
    """What the model makes of each image before it answers.

    InternVL reads all images at once. What other families give for several images has no common form, but what they
    give for one image has: so they read one at a time. Their class tokens, if any, count into the mean.

    Args:
        loaded: the model, in eval mode.
        images: pixels.
        prompt: the question whose answer the language model is about to begin.
    """
    with torch.inference_mode(), autocast(loaded.model.device):
        if isinstance(loaded.model, InternVLForConditionalGeneration):
            return _look_at_tiles(loaded, images, prompt)
        return [_look_at_one(loaded, images.pick([place]), prompt) for place in range(len(images))]


def _look_at_tiles(loaded: LoadedModel, images: ImageBatch, prompt: str) -> list[Look]:
    foreign: Any = loaded.model
    pixels = images.merged()["pixel_values"].to(foreign.device)
    output = foreign.get_image_features(pixel_values=pixels, return_dict=True)
    counts = [len(inputs["pixel_values"]) for inputs in images.inputs]
    patches = torch.split(output.last_hidden_state, counts)
    tokens = torch.split(output.pooler_output, counts)
    features = ImageBatch(images.sizes, tuple({FEATURES: part} for part in tokens))
    states = _answer_states(loaded, features, prompt)
    assert states is not None, "InternVL has a body of its own"
    return [
        {
            View.EYE: _mean(tower[:, 1:]),
            View.EYE_SUMMARY: _mean(tower[:, :1]),
            View.PROJECTOR: _mean(projected),
            View.ANSWER: state.float().cpu(),
        }
        for tower, projected, state in zip(patches, tokens, states, strict=True)
    ]


def _look_at_one(loaded: LoadedModel, image: ImageBatch, prompt: str) -> Look:
    found: Look = {}
    output = _image_features(loaded.model, image)
    for view, field in ((View.EYE, "last_hidden_state"), (View.PROJECTOR, "pooler_output")):
        tensors = _tensors(getattr(output, field, None))
        if tensors:
            found[view] = torch.stack([_mean(tensor) for tensor in tensors]).mean(0)
    states = _answer_states(loaded, image, prompt)
    if states is not None:
        found[View.ANSWER] = states[0].float().cpu()
    return found


def _image_features(model: Any, image: ImageBatch) -> Any:
    """Transformers' own answer for one image; none: the family has no such thing."""
    holder = next((each for each in (model, model.base_model) if hasattr(each, "get_image_features")), None)
    if holder is None:
        return None
    inputs = {name: tensor.to(model.device) for name, tensor in image.merged().items()}
    return holder.get_image_features(**inputs, return_dict=True)


def _tensors(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [each for each in value if isinstance(each, torch.Tensor)] if isinstance(value, (list, tuple)) else []


def _answer_states(loaded: LoadedModel, images: ImageBatch, prompt: str) -> torch.Tensor | None:
    """(num_images, width) at the last token of each question; none: the family has no body beside its head."""
    foreign: Any = loaded.model
    if foreign.base_model is foreign:
        return None
    encoded = [loaded.processor.encode(prompt, size=size) for size in images.sizes]
    batch = _padded([each.input_ids for each in encoded], loaded.processor.pad_id)
    batch |= pad_kinds(encoded, batch["input_ids"].shape[1]) | images.merged()
    moved = {name: tensor.to(foreign.device) for name, tensor in batch.items()}
    # No mask: what is padded stands right of the question, where a causal model does not look.
    output = foreign.base_model(input_ids=moved["input_ids"], use_cache=False, **image_inputs(moved))
    ends = torch.tensor([len(each.input_ids) - 1 for each in encoded], device=foreign.device)
    states: torch.Tensor = output.last_hidden_state
    return states[torch.arange(len(encoded), device=foreign.device), ends]


def _padded(rows: Sequence[list[int]], pad_id: int) -> Batch:
    longest = max(map(len, rows))
    return {"input_ids": torch.tensor([[*row, *[pad_id] * (longest - len(row))] for row in rows])}


def _mean(vectors: torch.Tensor) -> torch.Tensor:
    """Over all dimensions but the last."""
    return vectors.flatten(0, -2).float().mean(0).cpu()
