"""A fresh projector, and new rows of embeddings: the two things that no part brings along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import nn

from nameplate.models.internvl.keys import State

INITIAL_DEVIATION: Final = 0.02
"""As transformers starts linear layers (`initializer_range`)."""
_PROBES: Final = 512


class Fresh(NamedTuple):
    """A projector's first weights, by native names below the projector, and how loud it speaks."""

    weights: State
    """float32."""
    rms_before: float
    """Root mean square of its outputs as drawn."""
    rms: float
    """The same after scaling: that of the embeddings it speaks beside."""


def fresh_projector(*, inputs: int, outputs: int, target_rms: float, seed: int) -> Fresh:
    """Layer norm at one, matrices from N(0, 0.02), biases at zero, and the last matrix scaled.

    Its first step is a layer norm, so the size of what comes out depends neither on the tower nor on the image: it can
    be measured on random inputs. The last matrix is scaled so that image tokens are as large as the language model's
    own embeddings; as drawn they would be many times larger or smaller, and the first loss would be spent on that.

    Args:
        inputs: channels of 2 by 2 patches.
        outputs: width of the language model.
        target_rms: root mean square of its embeddings.
        seed: same seed, same weights.
    """
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(outputs, inputs, generator=random) * INITIAL_DEVIATION
    second = torch.randn(outputs, outputs, generator=random) * INITIAL_DEVIATION
    probes = nn.functional.layer_norm(torch.randn(_PROBES, inputs, generator=random), (inputs,))
    before = root_mean_square(nn.functional.gelu(probes @ first.T) @ second.T)
    second *= target_rms / before
    weights = {
        "layer_norm.weight": torch.ones(inputs),
        "layer_norm.bias": torch.zeros(inputs),
        "linear_1.weight": first,
        "linear_1.bias": torch.zeros(outputs),
        "linear_2.weight": second,
        "linear_2.bias": torch.zeros(outputs),
    }
    return Fresh(weights, before, target_rms)


def mean_row(matrix: torch.Tensor, num_trained: int) -> torch.Tensor:
    """(width,) float64: the mean of the rows that the model has seen."""
    total = torch.zeros(matrix.shape[1], dtype=torch.float64)
    for rows in torch.split(matrix[:num_trained], 8192):
        total += rows.double().sum(0)
    return total / num_trained


def trained_rms(matrix: torch.Tensor, num_trained: int) -> float:
    """Root mean square of the rows that the model has seen."""
    squares = [float(rows.double().square().sum()) for rows in torch.split(matrix[:num_trained], 8192)]
    return math.sqrt(math.fsum(squares) / (num_trained * matrix.shape[1]))


def with_rows(matrix: torch.Tensor, *, num_trained: int, num_rows: int, new: Sequence[int]) -> torch.Tensor:
    """The matrix with rows for new tokens, each the mean of those that the model has seen.

    It never shrinks; rows that it has and nobody asks for stay as they are. A mean row's logit is the mean of all
    logits, so an answer by the likeliest token never holds a new one before it is taught.

    Args:
        matrix: (rows, width).
        num_trained: rows from the start that belong to tokens which the model has seen.
        num_rows: so many rows, at least those that there are.
        new: ids of the new tokens, among them all rows that the matrix lacks.
    """
    assert num_rows >= len(matrix) >= num_trained
    grown = torch.cat([matrix, matrix.new_zeros(num_rows - len(matrix), matrix.shape[1])])
    grown[list(new)] = mean_row(matrix, num_trained).to(matrix.dtype)
    return grown


def root_mean_square(tensor: torch.Tensor) -> float:
    """Of all values."""
    return float(tensor.double().square().mean().sqrt())
