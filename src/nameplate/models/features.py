"""What the language model sees of an image, and the point just before the projector where it can be kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import torch
from torch import nn
from transformers import InternVLForConditionalGeneration, PreTrainedModel

from nameplate.models.batches import FEATURES
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.precision import autocast

DEFAULT_BUDGET = 2 << 30
"""Most bytes of projector inputs kept in memory."""


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


def projector_of(model: PreTrainedModel) -> nn.Module:
    """The module between vision tower and language model."""
    assert isinstance(model, InternVLForConditionalGeneration)
    projector: nn.Module = model.model.multi_modal_projector
    return projector


def has_prefix(model: PreTrainedModel) -> bool:
    """Whether what the projector reads can be kept: only InternVL's is one tensor that nothing else goes with."""
    return isinstance(model, InternVLForConditionalGeneration)


def projector_inputs(model: PreTrainedModel, images: ImageBatch) -> list[torch.Tensor]:
    """What the projector reads of each image, (num_tiles, num_image_tokens, width), without gradient."""
    caught: list[torch.Tensor] = []
    hook = projector_of(model).register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    try:
        vision_features(model, images)
    finally:
        hook.remove()
    assert len(caught) == 1, f"the projector ran {len(caught)} times for one batch of images"
    return _by_image(caught[0], images)


def num_patches(model: PreTrainedModel) -> int:
    """The longest sequence that the vision tower attends over; of other families than InternVL unknown, so long."""
    if not isinstance(model, InternVLForConditionalGeneration):
        return sys.maxsize
    config = model.config
    return round(config.image_seq_length / config.downsample_ratio**2) + 1


class FrozenPrefix:
    """Everything before the projector, computed once per image. Valid only while the vision tower is frozen.

    Args:
        model: its tower must not change while this is used.
        images: where pixels come from.
    """

    def __init__(self, model: PreTrainedModel, images: ImageCache) -> None:
        self.model = model
        self.images = images
        self._kept: dict[str, torch.Tensor] = {}

    def fits(self, num_images: int, key: ImageKey, *, max_bytes: int = DEFAULT_BUDGET) -> bool:
        """Whether so many images' projector inputs fit the budget, judged by one of them."""
        one = self._compute([key])[0]
        return one.numel() * one.element_size() * num_images <= max_bytes

    def fill(self, keys: Sequence[ImageKey], *, batch_size: int, advance: Callable[[int], None]) -> None:
        """Compute the projector inputs of all images that are not there yet."""
        missing = list({key.sha256: key for key in keys if key.sha256 not in self._kept}.values())
        for start in range(0, len(missing), batch_size):
            part = missing[start : start + batch_size]
            for key, inputs in zip(part, self._compute(part), strict=True):
                self._kept[key.sha256] = inputs.clone()
            advance(len(part))

    def inputs(self, keys: Sequence[ImageKey]) -> torch.Tensor:
        """Kept projector inputs, (num_tiles, num_image_tokens, width), images one after another."""
        return torch.cat([self._kept[key.sha256] for key in keys])

    def _compute(self, keys: Sequence[ImageKey]) -> list[torch.Tensor]:
        with autocast(self.model.device):
            return [inputs.cpu() for inputs in projector_inputs(self.model, self.images.batch(keys))]


def _pixels(model: PreTrainedModel, images: ImageBatch) -> torch.Tensor:
    return images.merged()["pixel_values"].to(model.device)


def _by_image(tiles: torch.Tensor, images: ImageBatch) -> list[torch.Tensor]:
    return list(torch.split(tiles, [len(inputs["pixel_values"]) for inputs in images.inputs]))
