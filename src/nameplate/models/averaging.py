"""An exponential moving average of what learns, beside the weights that move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


class MovingAverage:
    """Averages in float32, of the parameters only that learn.

    The decay of step t is at most (1 + t) / (10 + t), so that the base does not linger where a training is short (as in
    TensorFlow's ExponentialMovingAverage).

    Args:
        parameters: what learns, by name.
        decay: per step.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.values = {name: each.detach().float().clone() for name, each in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move on after optimizer step `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.parameters.items():
            self.values[name].lerp_(parameter.float(), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters are the average inside the block, and themselves again after it."""
        kept = {name: each.detach().clone() for name, each in self.parameters.items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
