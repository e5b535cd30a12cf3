"""Several short examples in one row, none seeing another: block-diagonal attention by restarted positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from transformers import InternVLForConditionalGeneration, PreTrainedModel

from nameplate.models.batches import Batch, collate
from nameplate.models.processing import IGNORED, Encoded

WORTH: Final = 0.1
"""Share of the tokens computed that packing must save, before it is used by itself: longer rows cost attention more."""
POSITIONS: Final = "position_ids"
"""(R, L): each token's place in its own example. Where they restart, transformers' masks begin a new block."""


def can_pack(model: PreTrainedModel) -> bool:
    """Whether the model reads positions that restart as the borders of examples: InternVL, whose kinds are none.

    Flash attention has no masks; it would see borders in a row that is alone, and none where there are several rows.
    """
    return isinstance(model, InternVLForConditionalGeneration) and "flash" not in model.config._attn_implementation


def pack(lengths: Sequence[int], *, row_length: int) -> list[list[int]]:
    """Which examples share a row of at most `row_length` tokens: the longest first, each into the first that fits.

    (First-fit decreasing: at most 11/9 of the fewest rows and one more, Johnson 1973.) Examples are never cut; one that
    is longer has a row of its own.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        length = lengths[place]
        row = next((number for number, left in enumerate(room) if left >= length), None)
        if row is None:
            rows.append([])
            room.append(max(row_length, length))
            row = len(rows) - 1
        rows[row].append(place)
        room[row] -= length
    return rows


def saved_share(lengths: Sequence[int]) -> float:
    """Share of the tokens of a padded batch that rows as long as its longest example save."""
    longest = max(lengths)
    return 1 - len(pack(lengths, row_length=longest)) / len(lengths)


def pays(micro_batches: Sequence[Sequence[int]]) -> bool:
    """Whether packing saves enough over some micro-batches, given as their examples' lengths."""
    padded = sum(len(each) * max(each) for each in micro_batches)
    saved = sum(len(each) * max(each) * saved_share(each) for each in micro_batches)
    return saved > WORTH * padded


def collate_packed(
    encoded: Sequence[Encoded], rows: Sequence[Sequence[int]], pad_id: int, *, num_before: int = 0
) -> Batch:
    """As `collate`, with the examples of each row one after another, and `position_ids`.

    Images must be given in the order of `rows`, flattened. What pads a row is a block of its own.

    Args:
        encoded: examples without kinds.
        rows: places of examples, by row.
        pad_id: of tokens.
        num_before: as for `collate`; each example sees them, and itself.
    """
    assert not any(example.kinds for example in encoded), "kinds of tokens do not say where an example ends"
    joined = [_joined([encoded[place] for place in row]) for row in rows]
    batch = collate(joined, pad_id, num_before=num_before)
    positions = torch.zeros_like(batch["input_ids"])
    for number, row in enumerate(rows):
        lengths = [len(encoded[place].input_ids) for place in row]
        lengths.append(positions.shape[1] - sum(lengths))
        positions[number] = torch.cat([torch.arange(length) for length in lengths])
    batch[POSITIONS] = positions
    return batch


def _joined(examples: Sequence[Encoded]) -> Encoded:
    """One sequence; its labels already keep the first token of each example out of the loss."""
    assert all(example.labels[0] == IGNORED for example in examples), "an example begins with its answer"
    weights = [weight for example in examples for weight in (example.weights or [1.0] * len(example.labels))]
    return Encoded(
        [token for example in examples for token in example.input_ids],
        [label for example in examples for label in example.labels],
        weights=weights,
    )
