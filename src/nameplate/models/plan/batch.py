"""A micro-batch that has its shapes and no content, for any family."""

from __future__ import annotations

import torch

from nameplate.models.batches import Batch, collate
from nameplate.models.constanttext import NO_TEXT, ConstantText
from nameplate.models.plan.reader import Reader
from nameplate.models.plan.workload import MicroBatch
from nameplate.models.processing import IGNORED, Encoded

_WORD = 1


def empty_batch(reader: Reader, shape: MicroBatch, *, image_token_id: int, text: ConstantText = NO_TEXT) -> Batch:
    """What training's collator would make of so many examples; pixels are on the meta device.

    Args:
        reader: of the model's folder.
        shape: wanted; a length that is shorter than a question is made as long.
        image_token_id: of the model's configuration.
        text: that was read before; an InternVL's.
    """
    if reader.contract is not None:
        side = reader.contract.size
        pixels = torch.empty(shape.tiles, 3, side, side, device="meta")
        per_tile = reader.contract.num_image_tokens
        num_before = len(text.ids)
        length = shape.length - num_before
        encoded = [_plain(length, tokens, image_token_id) for tokens in _shared(shape, per_tile)]
        return _sized(collate(encoded, 0, num_before=num_before), shape) | {"pixel_values": pixels, **text.inputs}
    one, images = reader.example(shape.size)
    assert reader.processor is not None
    stretched = Encoded(
        one.input_ids + [_WORD] * (shape.length - len(one.input_ids)),
        one.labels + [_WORD] * (shape.length - len(one.labels)),
        {name: kinds + [0] * (shape.length - len(kinds)) for name, kinds in one.kinds.items()},
    )
    batch = collate([stretched] * shape.examples, reader.processor.pad_id)
    return _sized(batch, shape) | {name: _times(tensor, shape.examples) for name, tensor in images.items()}


def _shared(shape: MicroBatch, per_tile: int) -> list[int]:
    """The tiles of a micro-batch divided among its examples, as image tokens."""
    return [
        per_tile * (shape.tiles * (place + 1) // shape.examples - shape.tiles * place // shape.examples)
        for place in range(shape.examples)
    ]


def _plain(length: int, image_tokens: int, image_token_id: int) -> Encoded:
    word = _WORD if image_token_id != _WORD else _WORD + 1
    ids = [image_token_id] * image_tokens + [word] * max(1, length - image_tokens)
    return Encoded(ids, [IGNORED] * len(ids))


def _sized(batch: Batch, shape: MicroBatch) -> Batch:
    # Where logits are computed does not matter, only at how many places.
    positions = torch.zeros(shape.places, dtype=torch.long)
    return batch | {"positions": positions, "targets": torch.ones(shape.places, dtype=torch.long)}


def _times(tensor: torch.Tensor, count: int) -> torch.Tensor:
    if tensor.is_floating_point():
        return torch.empty(tensor.shape[0] * count, *tensor.shape[1:], dtype=tensor.dtype, device="meta")
    return torch.cat([tensor] * count)
