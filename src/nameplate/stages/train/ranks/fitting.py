"""Whether what a launch divides and what a recipe wants go together: said before anything is read or fetched."""

from __future__ import annotations

from typing import Final

from nameplate.errors import TrainingError
from nameplate.recipe import TrainSection
from nameplate.records import STAGES, StageName
from nameplate.stages.train.ranks.plugins import Division, taking_plugins
from nameplate.stages.train.ranks.zerosettings import Zero

_DIVISIBLE: Final = frozenset({"adamw", "muon"})


def check_launch(section: TrainSection, *, until: StageName) -> None:
    """Refuse a run up to `until` whose training would be refused when it comes to that.

    Raises:
        TrainingError: see `check_divisible`; or a launch asks for what is not installed or not done.
    """
    if STAGES.index(until) >= STAGES.index("train"):
        with taking_plugins() as division:
            check_divisible(section, division)


def check_divisible(section: TrainSection, division: Division | None) -> None:
    """Refuse what does not go with how a launch divides a training.

    Raises:
        TrainingError: FSDP2 with an optimizer that looks at whole matrices in a way that parts of them do not allow;
            DeepSpeed with what it would do otherwise than one process, or what was never tried with it.
    """
    if isinstance(division, Zero):
        _check_zero(section, division)
    elif division is not None and section.optimizer.name not in _DIVISIBLE:
        raise TrainingError(
            f"train.optimizer.name: {section.optimizer.name}",
            found="it does not go with weights that are divided among processes (FSDP2)",
            expected=" or ".join(sorted(_DIVISIBLE)),
            fix="set it so, or start without FSDP",
        )


def _check_zero(section: TrainSection, zero: Zero) -> None:
    optimizer, memory = section.optimizer, section.memory
    wanted: list[tuple[str, object, object]] = [
        ("optimizer.name", optimizer.name, "adamw"),
        ("memory.weights", memory.weights, "float32"),
        ("memory.quantise", memory.quantise, None),
    ]
    if zero.stage == 3:
        wanted.append(("optimizer.ema_decay", optimizer.ema_decay, None))
    for field, found, expected in wanted:
        if found != expected:
            raise TrainingError(
                f"train.{field}: {found}",
                found=f"it does not go with DeepSpeed's stage {zero.stage}",
                expected="null" if expected is None else str(expected),
                fix="set it so, or start with FSDP2 or DDP",
            )
