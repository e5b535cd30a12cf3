"""Examples to tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nameplate.models.batches import PROJECTOR_INPUTS, Batch, collate
from nameplate.models.features import FrozenPrefix
from nameplate.models.images import ImageCache
from nameplate.stages.train.examples import Example


class Collator:
    """Examples to tensors, with pixels, or with kept projector inputs where the tower is frozen."""

    def __init__(self, images: ImageCache, prefix: FrozenPrefix | None) -> None:
        self.images = images
        self.prefix = prefix

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Collate, and add the images and the rows' places."""
        batch = collate([example.encoded for example in examples], self.images.processor.pad_id)
        batch["rows"] = torch.tensor([example.row for example in examples])
        keys = [example.image for example in examples]
        if self.prefix is None:
            batch |= self.images.batch(keys).merged()
        else:
            batch[PROJECTOR_INPUTS] = self.prefix.inputs(keys)
        return batch
