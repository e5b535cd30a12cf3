"""Examples to tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nameplate.models.augment import AugmentedImages
from nameplate.models.batches import Batch, collate
from nameplate.models.constanttext import NO_TEXT, ConstantText
from nameplate.models.images import ImageCache
from nameplate.models.packing import collate_packed, pack
from nameplate.models.prefix.frozen import FrozenPrefix, Item
from nameplate.models.processing import IGNORED
from nameplate.stages.train.examples import Example


class Collator:
    """Examples to tensors, with pixels, or with what was computed of them before.

    Args:
        images: where pixels come from.
        prefix: what is kept of images or examples; none: pixels.
        text: what all examples begin with, read before.
        augmented: images as each epoch sees them; none: they stay as they are.
        stand_in: an example for a batch of none.
        packs: whether examples share rows.
    """

    def __init__(
        self,
        images: ImageCache,
        prefix: FrozenPrefix | None,
        *,
        text: ConstantText = NO_TEXT,
        augmented: AugmentedImages | None = None,
        stand_in: Example | None = None,
        packs: bool = False,
    ) -> None:
        assert prefix is None or augmented is None, "kept features of images that change each epoch"
        assert not text.ids or prefix is None or prefix.level != "hidden", "hidden states of examples that are cut"
        self.text = text
        self.augmented = augmented
        self.images = images
        self.prefix = prefix
        self.stand_in = stand_in
        self.packs = packs

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Collate, and add the images and the rows' places. Of no examples: a batch that counts nothing."""
        if not examples:
            return self._counting_nothing()
        examples = [example._replace(encoded=self.text.behind(example.encoded)) for example in examples]
        examples, batch = self._packed(examples) if self.packs else (examples, self._padded(examples))
        batch |= self.text.inputs
        batch["rows"] = torch.tensor([example.row for example in examples])
        keys = [example.image for example in examples]
        if self.augmented is not None:
            rows, epochs = [example.row for example in examples], [example.epoch for example in examples]
            batch |= self.augmented.batch(keys, rows=rows, epochs=epochs).merged()
        elif self.prefix is None:
            batch |= self.images.batch(keys).merged()
        else:
            items = [Item(example.image, example.encoded) for example in examples]
            batch |= self.prefix.inputs(items, length=batch["input_ids"].shape[1])
        return batch

    def _padded(self, examples: Sequence[Example]) -> Batch:
        encoded = [example.encoded for example in examples]
        return collate(encoded, self.images.processor.pad_id, num_before=len(self.text.ids))

    def _packed(self, examples: Sequence[Example]) -> tuple[Sequence[Example], Batch]:
        """Rows as long as the longest example, and the examples in the order in which they stand there."""
        encoded = [example.encoded for example in examples]
        lengths = [len(each.input_ids) for each in encoded]
        rows = pack(lengths, row_length=max(lengths))
        batch = collate_packed(encoded, rows, self.images.processor.pad_id, num_before=len(self.text.ids))
        return [examples[place] for row in rows for place in row], batch

    def _counting_nothing(self) -> Batch:
        """For a process that has nothing left in a step: the computation of the others, with gradients of zero."""
        assert self.stand_in is not None, "an empty micro-batch where none should be"
        batch = self([self.stand_in])
        batch["labels"].fill_(IGNORED)
        batch["targets"].fill_(IGNORED)
        batch["weights"].zero_()
        return batch | {"rows": batch["rows"][:0]}
