"""What `accelerate launch` asks for by environment, as far as training does it itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from nameplate.errors import TrainingError
from nameplate.stages.train.ranks.zerosettings import Zero, read_zero

_USE_FSDP: Final = "ACCELERATE_USE_FSDP"
_USE_DEEPSPEED: Final = "ACCELERATE_USE_DEEPSPEED"
_NOT_DONE: Final = {
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism_config",
}
"""They bring schedules, optimizers or layouts of their own, which would take the place of the recipe's unsaid."""


class Sharding(NamedTuple):
    """FSDP2: each process holds a part of every weight, and layers are put together as they are needed."""

    reshard: bool = True
    """Take layers apart again after the forward pass: less memory, more traffic."""
    offload: bool = False
    """Keep the parts in the machine's memory, not in the accelerator's."""

    def sentence(self) -> str:
        """What is divided, in a few words."""
        return "weights divided among them (FSDP2)"


Division = Sharding | Zero
"""How a training is divided among processes."""


@contextmanager
def taking_plugins() -> Iterator[Division | None]:
    """Read how a training shall be divided, and keep accelerate from doing so, too; none: each process holds all.

    accelerate's own FSDP divides by class names and is not there on a CPU; ours divides by components. With DeepSpeed
    it would deal batches, accumulate and move learning rates otherwise.

    Raises:
        TrainingError: FSDP1 is asked for, or something else that training does not do.
    """
    for name, words in _NOT_DONE.items():
        if _truth(name):
            raise TrainingError(
                name,
                found=f"accelerate's configuration asks for {words}",
                expected="DDP, FSDP with fsdp_version: 2, or DeepSpeed",
                fix="start with a configuration in examples/many-devices",
            )
    if _truth(_USE_DEEPSPEED):
        division: Division = read_zero()
        used = _USE_DEEPSPEED
    elif _truth(_USE_FSDP):
        division = _read_sharding()
        used = _USE_FSDP
    else:
        yield None
        return
    before = os.environ.pop(used)
    try:
        yield division
    finally:
        os.environ[used] = before


def _read_sharding() -> Sharding:
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise TrainingError("FSDP_VERSION", found=version, expected="2", fix="set fsdp_version: 2 in fsdp_config")
    reshard = _truth("FSDP_RESHARD_AFTER_FORWARD", default="true")
    return Sharding(reshard=reshard, offload=_truth("FSDP_OFFLOAD_PARAMS"))


def _truth(name: str, *, default: str = "false") -> bool:
    return os.environ.get(name, default).strip().lower() in ("1", "true", "yes", "full_shard")
