"""What a launch asks of DeepSpeed: the stage of ZeRO, and how numbers travel. All else is the recipe's."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nameplate.errors import TrainingError

_STAGE: Final = "ACCELERATE_DEEPSPEED_ZERO_STAGE"
_FILE: Final = "ACCELERATE_DEEPSPEED_CONFIG_FILE"
_OFFLOAD: Final = ("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE")
_OF_THE_RECIPE: Final = {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1", "ACCELERATE_GRADIENT_CLIPPING": "auto"}
"""And what they are where they say nothing."""

_WAYS: Final = frozenset(
    {
        "allgather_bucket_size",
        "allgather_partitions",
        "contiguous_gradients",
        "overlap_comm",
        "reduce_bucket_size",
        "reduce_scatter",
        "stage3_max_live_parameters",
        "stage3_max_reuse_distance",
        "stage3_param_persistence_threshold",
        "stage3_prefetch_bucket_size",
        "sub_group_size",
    }
)
"""Keys of `zero_optimization` that say when and in which portions numbers are sent.

`round_robin_gradients` is not among them: with it DeepSpeed 0.19.8 gives back the moments of other weights.
"""
_SILENT: Final = frozenset({"steps_per_print", "wall_clock_breakdown", "zero_allow_untested_optimizer"})
"""Keys beside it that say nothing of a training, and are not read."""


class Zero(NamedTuple):
    """DeepSpeed's ZeRO: each process holds a part of what all would hold."""

    stage: int
    """1: moments are divided; 2: gradients, too; 3: weights, too."""
    ways: Mapping[str, Any]
    """More of DeepSpeed's section `zero_optimization`."""

    def sentence(self) -> str:
        """What is divided, in a few words."""
        parts = {1: "moments", 2: "gradients and moments", 3: "weights, gradients and moments"}[self.stage]
        return f"{parts} divided among them (DeepSpeed's stage {self.stage})"


def read_zero() -> Zero:
    """What `accelerate launch` has put into the environment, with DeepSpeed's own file where it names one.

    Raises:
        TrainingError: DeepSpeed is not installed, or it is asked for what is not done or what the recipe says.
    """
    if importlib.util.find_spec("deepspeed") is None:
        raise TrainingError(
            "ACCELERATE_USE_DEEPSPEED",
            found="DeepSpeed is asked for and not installed",
            fix="pip install 'nameplate[deepspeed]', or use FSDP2 (examples/many-devices/fsdp2.yaml)",
        )
    for name in _OFFLOAD:
        _refuse_offload(name, os.environ.get(name, "none"))
    for name, nothing in _OF_THE_RECIPE.items():
        value = os.environ.get(name, nothing)
        if value not in (nothing, "auto"):
            raise _said_by_the_recipe(name, value)
    path = os.environ.get(_FILE)
    if path is None:
        return Zero(_stage(_STAGE, os.environ.get(_STAGE, "2")), {})
    return _read_section(f"{path}: zero_optimization", _read_file(Path(path)))


def _read_file(path: Path) -> dict[str, Any]:
    """The section `zero_optimization` of DeepSpeed's file, which may say nothing else of a training."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(_FILE, found=f"{path} cannot be read: {error}", expected="a file of JSON") from error
    section = tree.pop("zero_optimization", None) if isinstance(tree, dict) else None
    if not isinstance(section, dict):
        raise TrainingError(
            str(path), found="no section zero_optimization", fix='add "zero_optimization": {"stage": 2}'
        )
    for key, value in tree.items():
        asked = value.get("enabled", True) if isinstance(value, dict) else value
        if key not in _SILENT and asked not in (False, "auto"):
            raise _said_by_the_recipe(f"{path}: {key}", json.dumps(value))
    return section


def _read_section(where: str, section: Mapping[str, Any]) -> Zero:
    said = {key: value for key, value in section.items() if value != "auto"}
    stage = _stage(f"{where}.stage", said.pop("stage", 2))
    for key in ("offload_optimizer", "offload_param"):
        device = (said.pop(key, None) or {}).get("device", "none")
        _refuse_offload(f"{where}.{key}", str(device))
    unknown = sorted(set(said) - _WAYS)
    if unknown:
        raise TrainingError(
            where, found=", ".join(unknown), expected=f"stage, {', '.join(sorted(_WAYS))}", fix="take the others out"
        )
    return Zero(stage, said)


def _stage(where: str, value: object) -> int:
    if str(value) not in ("1", "2", "3"):
        raise TrainingError(
            where,
            found=str(value),
            expected="1 (moments are divided), 2 (gradients, too) or 3 (weights, too)",
            fix="to divide nothing, start with torchrun or with examples/many-devices/ddp.yaml",
        )
    return int(str(value))


def _refuse_offload(where: str, device: str) -> None:
    if device != "none":
        raise TrainingError(
            where,
            found=device,
            expected="none: DeepSpeed would step there with an optimizer of its own",
            fix="use FSDP2 with fsdp_offload_params: true (examples/many-devices/fsdp2.yaml)",
        )


def _said_by_the_recipe(where: str, value: str) -> TrainingError:
    return TrainingError(
        where,
        found=value,
        expected="nothing, or auto: batches, optimizer, schedule, clipping and number formats are the recipe's",
        fix="take it out; the recipe has train.batch_size, train.optimizer and train.memory",
    )
