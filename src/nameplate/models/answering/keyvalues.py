"""Keys and values of many rows, in place: rows join, grow, and leave, and nothing is moved that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Layer(NamedTuple):
    """Keys and values of one layer, (rows, heads, places, width) each."""

    keys: torch.Tensor
    values: torch.Tensor


class Window(NamedTuple):
    """Which rows a forward pass is about, and where in each its tokens go."""

    first: int
    """Of as many rows as the pass has."""
    starts: Sequence[int]
    """Of each row, the place of its first token."""


class KeyValues:
    """Stands for a cache of transformers: a layer hands over new keys and values and is given all it may look at.

    Rows are kept dense: those in use are the first. Places behind a row's end hold zeros or what was padding, finite in
    both cases; masks hide them.

    Args:
        rows: most at a time.
        places: most tokens of a row.
    """

    def __init__(self, rows: int, places: int) -> None:
        self.rows = rows
        self.places = places
        self.window = Window(0, ())
        self._layers: list[Layer] = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in a layer's new keys and values, (B, heads, T, width), and give all of the window's rows."""
        if layer == len(self._layers):
            shape = (self.rows, keys.shape[1], self.places, keys.shape[3])
            self._layers.append(Layer(keys.new_zeros(shape), values.new_zeros(shape[:3] + values.shape[3:])))
        kept = self._layers[layer]
        end = max(self.window.starts) + keys.shape[2]
        rows = slice(self.window.first, self.window.first + len(keys))
        self._write(kept.keys[rows], keys)
        self._write(kept.values[rows], values)
        return kept.keys[rows, :, :end], kept.values[rows, :, :end]

    def copy(self, source: int, targets: Sequence[int], length: int) -> None:
        """Give rows the beginning of another one."""
        for layer in self._layers:
            for tensor in layer:
                tensor[list(targets), :, :length] = tensor[source : source + 1, :, :length].clone()

    def leave(self, rows: Sequence[int], used: int) -> list[int]:
        """Free some of the first `used` rows: the last ones in use move into their places.

        Returns:
            Of each row that stays, the row that it was.
        """
        gone = set(rows)
        staying = used - len(gone)
        holes = [row for row in sorted(gone) if row < staying]
        movers = [row for row in range(staying, used) if row not in gone]
        for layer in self._layers:
            for tensor in layer:
                if holes:
                    tensor[holes] = tensor[movers]
                # What is no number would spread from there, even with no weight.
                tensor[staying:used].zero_()
        order = list(range(staying))
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
        return order

    def _write(self, kept: torch.Tensor, new: torch.Tensor) -> None:
        starts, length = self.window.starts, new.shape[2]
        if min(starts) == max(starts):
            kept[:, :, starts[0] : starts[0] + length] = new
            return
        places = torch.tensor(starts, device=new.device)[:, None] + torch.arange(length, device=new.device)
        places = places[:, None, :, None].expand(-1, new.shape[1], -1, new.shape[3])
        kept.scatter_(2, places, new.to(kept.dtype))
