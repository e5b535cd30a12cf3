"""Images on their way into a model, one entry each, so that some can be picked out whatever their number of tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from nameplate.models.tiling import ImageSize

ImageInputs = Mapping[str, torch.Tensor]
"""What a model's forward pass wants of one image, by argument; the first dimension counts tiles, patches or images."""


class PreparedImage(NamedTuple):
    """One image decoded and cut up, small enough to keep."""

    size: ImageSize
    """Of the upright image; it decides how many tokens stand for it."""
    inputs: ImageInputs

    @property
    def num_bytes(self) -> int:
        """Memory it takes."""
        return sum(tensor.nbytes for tensor in self.inputs.values())


@dataclass(frozen=True)
class ImageBatch:
    """Several images: their pixels, or the features that a model made of them."""

    sizes: tuple[ImageSize, ...]
    inputs: tuple[ImageInputs, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def num_bytes(self) -> int:
        """Memory it takes."""
        return sum(tensor.nbytes for inputs in self.inputs for tensor in inputs.values())

    def __add__(self, other: ImageBatch) -> ImageBatch:
        return ImageBatch(self.sizes + other.sizes, self.inputs + other.inputs)

    def pick(self, places: Sequence[int]) -> ImageBatch:
        """Those at the given places, in their order."""
        return ImageBatch(tuple(self.sizes[at] for at in places), tuple(self.inputs[at] for at in places))

    def merged(self) -> dict[str, torch.Tensor]:
        """One tensor per argument, images one after another; different sides are padded with zeros."""
        names = self.inputs[0].keys()
        assert all(each.keys() == names for each in self.inputs), "images of one batch have different arguments"
        return {name: _joined([each[name] for each in self.inputs]) for name in names}


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    longest = [max(sides) for sides in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    return torch.cat([_padded(tensor, longest) for tensor in tensors])


def _padded(tensor: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    missing = [side - own for side, own in zip(sides, tensor.shape[1:], strict=True)]
    if not any(missing):
        return tensor
    # torch counts paddings from the last dimension.
    return functional.pad(tensor, [amount for side in reversed(missing) for amount in (0, side)])
