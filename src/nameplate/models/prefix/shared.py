"""What a frozen tower sees, kept for all models that have it: a base and its checkpoints, in scoring."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from nameplate.models.batches import FEATURES
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.prefix.frozen import SIZE, VALUE, FrozenPrefix, Item
from nameplate.models.prefix.levels import Verdict, abilities_of
from nameplate.models.prefix.looking import project
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.processing import Encoded
from nameplate.models.tiling import ImageSize

_NO_TEXT = Encoded([], [])


class SharedSight:
    """Features of images by way of what the projector reads, which is computed once for all models with one tower.

    Args:
        model: one of them; see `can_share`.
        images: prepared for it.
        store: where it is kept, as far as there is room beside what is kept already.
    """

    def __init__(self, model: PreTrainedModel, images: ImageCache, store: PrefixStore) -> None:
        self._model = model
        self._store = store
        self._prefix = FrozenPrefix(model, images.unkept(), Verdict("vision", ""), store, training=False)

    def see(self, images: Sequence[ImageKey]) -> ImageBatch:
        """Images as projected features, (num_tiles, num_image_tokens, hidden) each, without gradient."""
        items = [Item(image, _NO_TEXT) for image in images]
        room = self._store.max_bytes - self._store.num_bytes()
        entries = self._prefix.entries(items, room=room)
        inputs = torch.cat([entry[VALUE] for entry in entries]).to(self._model.device)
        with torch.no_grad():
            features = project(self._model, inputs)
        parts = torch.split(features, [len(entry[VALUE]) for entry in entries])
        sizes = tuple(ImageSize(*entry[SIZE].tolist()) for entry in entries)
        return ImageBatch(sizes, tuple({FEATURES: part} for part in parts))


def can_share(model: PreTrainedModel) -> bool:
    """Whether `vision_features` makes features of the family, and its projector reads one tensor."""
    return str(model.config.model_type) == "internvl" and abilities_of("internvl").vision
