"""Where training stands after its last checkpoint: one safetensors file, replaced in one step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from nameplate.models.averaging import MovingAverage
from nameplate.models.diskerrors import system_errors
from nameplate.stages.train.ranks.whole import gather_states, put, put_state, whole
from nameplate.store.files import replacing


class Accuracy(NamedTuple):
    """Right answers to the name question on the validation images."""

    right: int
    n: int


class Position(BaseModel):
    """How far training has come."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    """Of section, base model and examples; another one means another training."""
    epoch: int
    """Finished epochs."""
    steps: int
    """Finished optimizer steps."""
    losses: list[tuple[float, float]]
    """Pairs (epoch, loss) so far."""
    seconds: float
    """Time spent so far."""
    accuracies: dict[str, Accuracy] = {}
    """Of each checkpoint so far, where the recipe wants the best; in the order of epochs."""


def save_resume(
    path: Path,
    position: Position,
    trainable: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    *,
    average: MovingAverage | None = None,
    writes: bool = True,
) -> None:
    """Write trainable weights and their average, optimizer state and position.

    Where weights are divided among processes, all must come here, and one writes.
    """
    tensors = {f"weights/{name}": whole(parameter).contiguous() for name, parameter in trainable.items()}
    names = {id(parameter): name for name, parameter in trainable.items()}
    numbers: dict[str, int | float] = {}
    for parameter, state in gather_states(trainable, optimizer):
        for field, value in state.items():
            key = f"optimizer/{field}/{names[id(parameter)]}"
            if torch.is_tensor(value):
                tensors[key] = whole(value).clone().contiguous()
            else:
                numbers[key] = value
    if average is not None:
        tensors |= {f"average/{name}": whole(value) for name, value in average.values.items()}
    if not writes:
        return
    metadata = {"position": position.model_dump_json(), "numbers": json.dumps(numbers)}
    with replacing(path) as temporary, system_errors():
        save_file(tensors, temporary, metadata=metadata)


def read_position(path: Path, fingerprint: str) -> Position | None:
    """Where this very training stands; none: it has not come to a checkpoint, or the file is of another one."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            position = Position.model_validate(json.loads(stored.metadata()["position"]))
    except (SafetensorError, ValueError, KeyError, TypeError):
        # A file of another version: training starts anew, as it does when the recipe has changed.
        return None
    return position if position.fingerprint == fingerprint else None


def load_resume(
    path: Path,
    trainable: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    *,
    average: MovingAverage | None = None,
) -> None:
    """Put weights and their average and optimizer state back, to each process its part."""
    with safe_open(path, framework="pt") as stored, torch.no_grad():
        for key in stored.keys():  # noqa: SIM118  # safe_open is no mapping
            kind, _, rest = key.partition("/")
            if kind == "weights":
                put(stored.get_tensor(key), trainable[rest])
            elif kind == "average" and average is not None:
                put(stored.get_tensor(key), average.values[rest])
            elif kind == "optimizer":
                field, _, name = rest.partition("/")
                put_state(optimizer, trainable[name], field, stored.get_tensor(key))
        for key, number in json.loads(stored.metadata()["numbers"]).items():
            _, field, name = key.split("/", 2)
            put_state(optimizer, trainable[name], field, number)
