"""The moving average of what learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nameplate.models.averaging import MovingAverage


def test_average_follows_the_weights_with_its_decay() -> None:
    weight = nn.Parameter(torch.zeros(2))
    average = MovingAverage({"w": weight}, decay=0.5)
    expected = 0.0
    for step in range(1, 8):
        weight.data.fill_(float(step))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.values["w"].tolist() == pytest.approx([expected] * 2)


def test_weights_are_the_average_inside_the_block_alone() -> None:
    weight = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    average = MovingAverage({"w": weight}, decay=0.9)
    weight.data.fill_(3.0)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        assert weight.tolist() == [1.0] * 3
        raise KeyboardInterrupt
    assert weight.tolist() == [3.0] * 3
    assert average.values["w"].dtype == torch.float32
