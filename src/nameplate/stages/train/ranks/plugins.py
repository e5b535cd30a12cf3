"""What `accelerate launch` asks for by environment, as far as training does it itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from nameplate.errors import TrainingError

_USE_FSDP: Final = "ACCELERATE_USE_FSDP"
_NOT_DONE: Final = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
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


@contextmanager
def taking_plugins() -> Iterator[Sharding | None]:
    """Read how weights shall be divided, and keep accelerate from doing so, too; none: each process holds all.

    accelerate's own FSDP divides by class names and is not there on a CPU; ours divides by components.

    Raises:
        TrainingError: FSDP1 is asked for, or something else that training does not do.
    """
    for name, words in _NOT_DONE.items():
        if _truth(name):
            raise TrainingError(
                name,
                found=f"accelerate's configuration asks for {words}",
                expected="processes that hold all weights (DDP), or divided weights (FSDP with fsdp_version: 2)",
                fix="use FSDP2, which divides weights, gradients and moments as DeepSpeed's stage 3 does",
            )
    if not _truth(_USE_FSDP):
        yield None
        return
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise TrainingError("FSDP_VERSION", found=version, expected="2", fix="set fsdp_version: 2 in fsdp_config")
    reshard = _truth("FSDP_RESHARD_AFTER_FORWARD", default="true")
    sharding = Sharding(reshard=reshard, offload=_truth("FSDP_OFFLOAD_PARAMS"))
    before = os.environ.pop(_USE_FSDP)
    try:
        yield sharding
    finally:
        os.environ[_USE_FSDP] = before


def _truth(name: str, *, default: str = "false") -> bool:
    return os.environ.get(name, default).strip().lower() in ("1", "true", "yes", "full_shard")
