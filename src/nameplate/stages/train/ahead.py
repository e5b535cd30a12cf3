"""The next batch is prepared while this one computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Final

from torch.utils.data import DataLoader

from nameplate.models.batches import Batch
from nameplate.stages.train.examples import Example

BATCHES_AHEAD: Final = 2


class LoaderAhead(DataLoader[Example]):
    """A loader that reads, decodes and collates in one thread of its own, in order.

    A thread will do: Pillow and torch let go of the interpreter while they work, and batches need not be sent between
    processes. For devices that compute beside the CPU; on a CPU both would share its cores.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # torch says that a loader gives examples
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(BATCHES_AHEAD)
        over = threading.Event()
        reader = threading.Thread(target=_read, args=(super().__iter__(), ready, over), daemon=True)
        reader.start()
        try:
            while (batch := ready.get()) is not None:
                if isinstance(batch, BaseException):
                    raise batch
                yield batch
        finally:
            over.set()
            _drain(ready)
            reader.join()


def _read(batches: Iterator[Batch], ready: queue.Queue[Batch | BaseException | None], over: threading.Event) -> None:
    try:
        for batch in batches:
            ready.put(batch)
            if over.is_set():
                return
        ready.put(None)
    except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that trains
        ready.put(error)


def _drain(ready: queue.Queue[Batch | BaseException | None]) -> None:
    """Make room, so that a reader who waits with a batch sees that it is over."""
    while not ready.empty():
        ready.get_nowait()
