"""What the language model sees of an image."""

from __future__ import annotations

import sys

import torch
from transformers import InternVLForConditionalGeneration, PreTrainedModel

from nameplate.models.batches import FEATURES
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.prefix.looking import projector_of

__all__ = ["num_patches", "projector_of", "vision_features"]


def vision_features(model: PreTrainedModel, images: ImageBatch) -> ImageBatch:
    """Images as projected features, (num_tiles, num_image_tokens, hidden) each, without gradient.

    Other families than InternVL are given back their images: their features have no common form.
    """
    if not isinstance(model, InternVLForConditionalGeneration):
        return images
    with torch.no_grad():
        output = model.get_image_features(pixel_values=_pixels(model, images), return_dict=True)
    assert isinstance(output.pooler_output, torch.Tensor)
    return ImageBatch(images.sizes, tuple({FEATURES: part} for part in _by_image(output.pooler_output, images)))


def num_patches(model: PreTrainedModel) -> int:
    """The longest sequence that the vision tower attends over; of other families than InternVL unknown, so long."""
    if not isinstance(model, InternVLForConditionalGeneration):
        return sys.maxsize
    config = model.config
    return round(config.image_seq_length / config.downsample_ratio**2) + 1


def _pixels(model: PreTrainedModel, images: ImageBatch) -> torch.Tensor:
    return images.merged()["pixel_values"].to(model.device)


def _by_image(tiles: torch.Tensor, images: ImageBatch) -> list[torch.Tensor]:
    return list(torch.split(tiles, [len(inputs["pixel_values"]) for inputs in images.inputs]))
