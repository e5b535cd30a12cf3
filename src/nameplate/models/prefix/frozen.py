"""Everything before the first parameter that learns, computed once for each image or example and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Final, NamedTuple

import torch
from transformers import PreTrainedModel

from nameplate.models.batches import FEATURES, HIDDEN, LENGTH_STEP, PROJECTOR_INPUTS, Batch, collate, run_body
from nameplate.models.imagebatch import PreparedImage
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.precision import autocast, compute_dtype
from nameplate.models.prefix.identity import example_key, space_facts
from nameplate.models.prefix.levels import Verdict
from nameplate.models.prefix.looking import image_values
from nameplate.models.prefix.skipping import language_layers, make_skippable, stopping_after
from nameplate.models.prefix.store import Entry, PrefixSpace, PrefixStore, num_bytes
from nameplate.models.processing import Encoded
from nameplate.models.tiling import ImageSize
from nameplate.store.fingerprint import fingerprint

IMAGES_AT_ONCE: Final = 16
EXAMPLES_AT_ONCE: Final = 8
"""Of one padded length; the last batch of each length is filled up with copies, so a few hundred are computed twice."""
SEGMENT_BYTES: Final = 32 << 20
"""A kill while filling loses at most so much."""
SEGMENT_ENTRIES: Final = 256

VALUE: Final = "value"
SIZE: Final = "size"
BESIDE: Final = ("image_grid_thw",)
"""What a model wants to know of an image even where its features are there: positions are counted by it."""


class Item(NamedTuple):
    """One example, as far as its prefix goes."""

    image: ImageKey
    encoded: Encoded


class FrozenPrefix:
    """One level of one model. Valid only while nothing before it learns.

    Args:
        model: what the level is computed with must not change while this is used.
        images: where pixels come from.
        verdict: which level, by `judge_levels`.
        store: where it is kept.
        training: compute as training does, under autocast; else as answers are computed, in the weights' own format.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        images: ImageCache,
        verdict: Verdict,
        store: PrefixStore,
        *,
        training: bool = True,
    ) -> None:
        assert verdict.valid, verdict.reason
        self.model = model
        self.images = images
        self.level = verdict.level
        self.depth = verdict.num_layers
        self.store = store
        self.mixed = training and compute_dtype() != torch.float32
        facts = space_facts(model, images.processor, verdict, mixed=self.mixed)
        self.identity = fingerprint(facts)
        self.space: PrefixSpace = store.space(self.identity, about=facts)
        self.num_computed = 0
        """Values that were not there."""
        self.whole = False
        """Whether all that training will ask for is known to be there."""
        if self.level == "hidden":
            make_skippable(language_layers(model)[: self.depth])

    def key(self, item: Item) -> str:
        """Under which an item's value is kept: hidden states by example, all else by image."""
        return example_key(item.image, item.encoded) if self.level == "hidden" else item.image.sha256

    def missing(self, items: Sequence[Item]) -> dict[str, Item]:
        """Items whose value is not there, one for each key."""
        keyed = {self.key(item): item for item in items}
        return {key: keyed[key] for key in self.space.missing(keyed)}

    def fill(self, items: Sequence[Item], *, advance: Callable[[int], None], max_bytes: int | None = None) -> None:
        """Compute and keep what is missing, until no more than `max_bytes` are written; none: all of it."""
        pending: dict[str, Entry] = {}
        written = 0
        for part in self.batches(self.missing(items)):
            pending |= zip(part, self.compute(list(part.values())), strict=True)
            advance(len(part))
            size = _num_bytes(pending)
            if max_bytes is not None and written + size > max_bytes:
                return
            if size >= SEGMENT_BYTES or len(pending) >= SEGMENT_ENTRIES:
                self.space.put(pending)
                written += size
                pending = {}
        if pending:
            self.space.put(pending)

    def batches(self, items: dict[str, Item]) -> Iterator[dict[str, Item]]:
        """Items that go through the model together: examples of one padded length, images in any company."""
        groups: dict[int, list[str]] = {}
        for key, item in items.items():
            length = -(-len(item.encoded.input_ids) // LENGTH_STEP) if self.level == "hidden" else 0
            groups.setdefault(length, []).append(key)
        for keys in groups.values():
            for start in range(0, len(keys), self.at_once):
                yield {key: items[key] for key in keys[start : start + self.at_once]}

    @property
    def at_once(self) -> int:
        """Most items of a batch."""
        return EXAMPLES_AT_ONCE if self.level == "hidden" else IMAGES_AT_ONCE

    def compute(self, items: Sequence[Item]) -> list[Entry]:
        """Values of items that `batches` put together, on the CPU; their neighbours change no bit of them."""
        self.num_computed += len(items)
        keys = [item.image for item in items]
        if self.level == "tiles":
            prepared = [self.images.prepared(key) for key in keys]
            return [{**image.inputs, SIZE: torch.tensor(image.size)} for image in prepared]
        images = self.images.batch(keys)
        with autocast(self.model.device) if self.mixed else nullcontext():
            values = self._hidden(items) if self.level == "hidden" else image_values(self.model, images, self.level)
        beside = [{name: own[name] for name in BESIDE if name in own} for own in images.inputs]
        return [
            {VALUE: value.cpu().clone(), SIZE: torch.tensor(size), **own}
            for value, size, own in zip(values, images.sizes, beside, strict=True)
        ]

    def entries(self, items: Sequence[Item], *, room: int = 0) -> list[Entry]:
        """Values of items in their order; what is missing is computed, and kept if it fits into `room` bytes."""
        missing = self.missing(items)
        computed: dict[str, Entry] = {}
        for part in self.batches(missing):
            computed |= zip(part, self.compute(list(part.values())), strict=True)
        if computed and _num_bytes(computed) <= room:
            self.space.put(computed)
        keys = [self.key(item) for item in items]
        return [computed[key] if key in computed else self.space.read(key) for key in keys]

    def find(self, key: ImageKey) -> PreparedImage | None:
        """An image's kept tiles; none: they are not there."""
        assert self.level == "tiles"
        if self.space.missing([key.sha256]):
            return None
        entry = dict(self.space.read(key.sha256))
        return PreparedImage(ImageSize(*entry.pop(SIZE).tolist()), entry)

    def inputs(self, items: Sequence[Item], *, length: int) -> Batch:
        """What a batch holds instead of pixels.

        Args:
            items: its examples.
            length: of its padded rows.
        """
        entries = self.entries(items)
        values = [entry[VALUE] for entry in entries]
        beside = {name: torch.cat([entry[name] for entry in entries]) for name in BESIDE if name in entries[0]}
        if self.level == "hidden":
            return {HIDDEN: _padded(values, length), **beside}
        return {PROJECTOR_INPUTS if self.level == "vision" else FEATURES: torch.cat(values), **beside}

    def _hidden(self, items: Sequence[Item]) -> list[torch.Tensor]:
        full = [*items, *[items[0]] * (self.at_once - len(items))]
        batch = collate([item.encoded for item in full], self.images.processor.pad_id)
        batch |= self.images.batch([item.image for item in full]).merged()
        moved = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
        layers = language_layers(self.model)
        with torch.no_grad(), stopping_after(layers, self.depth) as caught:
            run_body(self.model, moved)
        return [hidden[: len(item.encoded.input_ids)] for hidden, item in zip(caught[0], items, strict=False)]


def _padded(values: Sequence[torch.Tensor], length: int) -> torch.Tensor:
    padded = values[0].new_zeros((len(values), length, values[0].shape[-1]))
    for row, value in zip(padded, values, strict=True):
        row[: len(value)] = value
    return padded


def _num_bytes(entries: dict[str, Entry]) -> int:
    return sum(map(num_bytes, entries.values()))
