"""What to change where a training does not fit: the mildest changes first, each rehearsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nameplate.models.plan.results import MemoryPlan
from nameplate.models.plan.wording import gigabytes
from nameplate.recipe import TrainSection

WORTH = 0.98
"""A change that leaves more than this share of the memory is not worth its price."""

Memory = Callable[[TrainSection], MemoryPlan]


def advice(section: TrainSection, memory: MemoryPlan, rehearse: Memory, *, may_be_short: bool) -> Iterator[str]:
    """Sentences; none where it fits.

    Args:
        section: as it is.
        memory: what it takes.
        rehearse: what a changed section would take.
        may_be_short: learning weights may be bfloat16, because the base is stored so.
    """
    if memory.fits:
        return
    taken: dict[str, str] = {}
    for setting, change in _changes(section, may_be_short=may_be_short):
        changed = _changed(section, change)
        found = rehearse(changed)
        if found.total > WORTH * memory.total:
            continue
        yield f"{setting}: {gigabytes(memory.total)} -> {gigabytes(found.total)} GB"
        section, memory = changed, found
        taken[setting.partition("=")[0]] = f"--set {setting}"
        if memory.fits:
            yield f"with {' '.join(taken.values())} it fits"
            return
    yield f"even so it does not fit into {gigabytes(memory.usable)} GB: train less of the model, or on a larger device"


def _changes(section: TrainSection, *, may_be_short: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    memory = section.memory
    if memory.micro_batch_size > 1:
        smaller = max(1, memory.micro_batch_size // 4)
        yield f"train.memory.micro_batch_size={smaller}", {"memory": {"micro_batch_size": smaller}}
    if not memory.checkpointing:
        yield "train.memory.checkpointing=true", {"memory": {"checkpointing": True}}
    if memory.micro_batch_size // 4 > 1:
        yield "train.memory.micro_batch_size=1", {"memory": {"micro_batch_size": 1}}
    if section.optimizer.name == "adamw":
        yield "train.optimizer.name=adamw_8bit", {"optimizer": {"name": "adamw_8bit"}}
    if not section.language.learns and memory.quantise is None:
        yield "train.memory.quantise=nf4", {"memory": {"quantise": "nf4"}}
    if may_be_short and memory.weights == "float32":
        yield "train.memory.weights=bfloat16", {"memory": {"weights": "bfloat16"}}


def _changed(section: TrainSection, change: dict[str, Any]) -> TrainSection:
    parts = {
        name: getattr(section, name).model_copy(update=fields) if isinstance(fields, dict) else fields
        for name, fields in change.items()
    }
    return section.model_copy(update=parts)
