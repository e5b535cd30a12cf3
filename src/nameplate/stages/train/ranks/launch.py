"""Which process of a launch this is (`torchrun`, `accelerate launch`), and what the processes leave word of.

The first process does everything; the others wait until it comes to training, take part in that, and leave. They may
wait for days, so they do not wait in a collective operation, which would time out, but look at the launcher's store.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from nameplate.records import STAGES, StageName

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

LOOK_SECONDS = 0.2
"""Between two looks of a process that waits."""


class Launch(NamedTuple):
    """This process among those that one command has started."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether it is the one that does everything but train."""
        return self.rank == 0


def launched() -> Launch:
    """What the launcher has put into the environment; one process where there is no launcher."""
    return Launch(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


class Board:
    """Short words that the processes of a launch leave for one another.

    Args:
        store: shared by all of them.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.runs = 0
        """Pipelines run so far: each has words of its own."""
        self.groups = 0
        """Trainings so far."""

    def say(self, word: str) -> None:
        """Leave word of how the first process goes on: "train" or "over"."""
        self.store.set(f"run/{self.runs}", word)

    def hear(self) -> str:
        """Wait for that word, however long it takes."""
        key = f"run/{self.runs}"
        while not self.store.check([key]):
            time.sleep(LOOK_SECONDS)
        return self.store.get(key).decode()

    def fails_first(self, rank: int) -> bool:
        """Note that this process fails; whether no other had before it, so that it is the one to say why."""
        return self.store.compare_set("failed", "", str(rank)) == str(rank).encode()


@cache
def board() -> Board:
    """The launch's board, in the store that its launcher hosts (the first process, where the launcher has none)."""
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://"))
    return Board(PrefixStore("nameplate", store))


@contextmanager
def leading(until: StageName) -> Iterator[None]:
    """The first process's work on a run up to `until`. The others are told when it is over, however it ends."""
    if launched().size == 1 or not _trains(until):
        yield
        return
    words = board()
    try:
        yield
    finally:
        words.say("over")
        words.runs += 1


def follow(until: StageName, train: Callable[[], object]) -> None:
    """Another process's part in a run up to `until`: its training, if there is one.

    Args:
        until: last stage of the run.
        train: takes part in it.
    """
    if not _trains(until):
        return
    words = board()
    if words.hear() == "train":
        train()
    words.runs += 1


def fails_first() -> bool:
    """Note that this process fails; whether it is the one to say why: alone, or no other has failed before it.

    Where one process ends, what it shared with the others fails there, too.
    """
    launch = launched()
    return launch.size == 1 or board().fails_first(launch.rank)


def _trains(until: StageName) -> bool:
    return STAGES.index(until) >= STAGES.index("train")
