"""Where training stands after its last checkpoint: one safetensors file, replaced in one step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from nameplate.models.diskerrors import system_errors
from nameplate.store.files import replacing


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


def save_resume(
    path: Path, position: Position, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Write trainable weights, optimizer state, random state and position."""
    tensors = {f"weights/{name}": parameter.detach().contiguous() for name, parameter in trainable.items()}
    names = {id(parameter): name for name, parameter in trainable.items()}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer/{key}/{names[id(parameter)]}"] = value.detach().clone().contiguous()
    tensors["random"] = torch.get_rng_state()
    with replacing(path) as temporary, system_errors():
        save_file(tensors, temporary, metadata={"position": position.model_dump_json()})


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


def load_resume(path: Path, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Put weights, optimizer state and random state back."""
    state: dict[str, dict[str, Any]] = {name: {} for name in trainable}
    with safe_open(path, framework="pt") as stored, torch.no_grad():
        for key in stored.keys():  # noqa: SIM118  # safe_open is no mapping
            kind, _, rest = key.partition("/")
            if kind == "weights":
                trainable[rest].copy_(stored.get_tensor(key))
            elif kind == "optimizer":
                field, _, name = rest.partition("/")
                state[name][field] = stored.get_tensor(key)
        torch.set_rng_state(stored.get_tensor("random"))
    for name, parameter in trainable.items():
        if state[name]:
            optimizer.state[parameter].update(state[name])
