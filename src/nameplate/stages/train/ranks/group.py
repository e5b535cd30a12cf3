"""The processes of one training, joined: sums, words and waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore

from nameplate.errors import TrainingError
from nameplate.stages.train.ranks.launch import board, launched
from nameplate.stages.train.ranks.plugins import Division, Sharding, taking_plugins
from nameplate.stages.train.ranks.zero import leave_group
from nameplate.stages.train.ranks.zerosettings import Zero

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""How long one process may wait for another: the first may be writing a checkpoint or asking the model meanwhile."""


@dataclass(frozen=True)
class Ranks:
    """The processes that train one model together. One alone is the usual case, and all this costs it nothing."""

    rank: int = 0
    size: int = 1
    division: Division | None = None
    """What is divided among them; none: each holds all."""

    @property
    def leads(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.rank == 0

    @property
    def divides_weights(self) -> bool:
        """Whether no process holds all weights."""
        return isinstance(self.division, Sharding) or (isinstance(self.division, Zero) and self.division.stage == 3)

    def sentence(self) -> str:
        """Who trains, in a few words."""
        held = "each holds all weights (DDP)" if self.division is None else self.division.sentence()
        return f"{self.size} processes, {held}"

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over all processes, of the same shape; float64 on the CPU."""
        values = values.detach().to("cpu", torch.float64)
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def everyone(self, value: T) -> list[T]:
        """What each process says, in order."""
        if self.size == 1:
            return [value]
        values: list[T | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # all are filled in

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            # A sum on the CPU, because a barrier of the accelerator's library counts its own time.
            self.total(torch.zeros(1))

    def agree(self, value: str, *, on: str) -> None:
        """See that all processes hold the same.

        Raises:
            TrainingError: they do not.
        """
        if len(set(self.everyone(value))) > 1:
            raise TrainingError(
                "train",
                found=f"the processes of this launch do not have the same {on}",
                fix="start them all with the same command, on the same run directory and the same model",
            )


@contextmanager
def joined() -> Iterator[Ranks]:
    """All processes of the launch, each of which must come here, for the time of one training.

    Raises:
        TrainingError: a process is gone, or the launcher's settings are none that this can follow.
    """
    launch = launched()
    if not torch.cuda.is_available():
        # DeepSpeed, which accelerate imports wherever it is installed, would warn of this on the standard output.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    with _naming_the_lost(), taking_plugins() as division:
        if launch.size == 1:
            yield Ranks()
            return
        words = board()
        if launch.leads:
            words.say("train")
        _start(launch.rank, launch.size, f"group/{words.groups}")
        words.groups += 1
        yield Ranks(launch.rank, launch.size, division)
        if isinstance(division, Zero):
            leave_group()
        else:
            dist.destroy_process_group()


def _start(rank: int, size: int, prefix: str) -> None:
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    store = PrefixStore(prefix, board().store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)


@contextmanager
def _naming_the_lost() -> Iterator[None]:
    """Say in our words that a process is gone: what it shared with others fails with the network's words."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if isinstance(error, dist.DistError) or "gloo" in text.lower():
            raise TrainingError(
                "train",
                found=f"a process of this launch is gone ({text.splitlines()[0][:200]})",
                fix="look for what ended it (memory, a signal), and run the same command again: it goes on from the "
                "last checkpoint",
            ) from error
        raise
