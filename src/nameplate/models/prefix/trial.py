"""Finding out by one batch what a level costs and saves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from nameplate.models.images import DEFAULT_BUDGET
from nameplate.models.prefix.costs import Cost
from nameplate.models.prefix.frozen import FrozenPrefix, Item
from nameplate.models.prefix.store import Entry, num_bytes

LEAST_TIMED: Final = 16
"""Values whose computation is timed, if no batch is short."""


def try_level(prefix: FrozenPrefix, items: Sequence[Item]) -> Cost:
    """Compute, write and read a batch, after one that warms up; what was missing stays, as part of the filling.

    Args:
        prefix: of the level.
        items: all that training will look at.
    """
    keyed = {prefix.key(item): item for item in items}
    missing = prefix.missing(items)
    batches = list(prefix.batches(missing or keyed))
    parts = _spread(batches[1:], max(1, LEAST_TIMED // prefix.at_once)) or batches[:1]
    computed = _computed(prefix, batches[0])
    timed = [key for part in parts for key in part]
    decode_seconds = _seconds_each(timed, lambda: [prefix.images.prepared(keyed[key].image) for key in timed])
    compute_seconds = _seconds_each(timed, lambda: [computed.update(_computed(prefix, part)) for part in parts])
    new = {key: entry for key, entry in computed.items() if key in missing}
    write_seconds = _seconds_each(list(new), lambda: _write(prefix, new))
    kept = prefix.space.missing(computed) == []
    read_seconds = _seconds_each(timed, lambda: _read(prefix, timed)) if kept else 0.0
    bytes_each = sum(map(num_bytes, computed.values())) // len(computed)
    if bytes_each * len(keyed) > _free_memory():
        # From disk then, which is taken to give no faster than it takes.
        read_seconds = max(read_seconds, write_seconds)
    return Cost(
        level=prefix.level,
        num_values=len(keyed),
        num_missing=len(prefix.space.missing(missing)),
        bytes_each=bytes_each,
        compute_seconds=compute_seconds,
        anew_seconds=compute_seconds - decode_seconds * _share_in_memory(prefix, items),
        write_seconds=write_seconds,
        read_seconds=read_seconds,
    )


def _seconds_each(items: Sequence[object], work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) / max(len(items), 1)


def _spread(batches: Sequence[dict[str, Item]], count: int) -> list[dict[str, Item]]:
    """So many of them, short and long examples alike."""
    return list(batches[:: max(1, len(batches) // count)][:count])


def _computed(prefix: FrozenPrefix, part: Mapping[str, Item]) -> dict[str, Entry]:
    return dict(zip(part, prefix.compute(list(part.values())), strict=True))


def _write(prefix: FrozenPrefix, entries: Mapping[str, Entry]) -> None:
    if entries and sum(map(num_bytes, entries.values())) <= prefix.store.room_for(prefix.identity):
        _sync(prefix.space.put(entries))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(prefix: FrozenPrefix, keys: Sequence[str]) -> None:
    for key in keys:
        for tensor in prefix.space.read(key).values():
            tensor.clone()


def _share_in_memory(prefix: FrozenPrefix, items: Sequence[Item]) -> float:
    """Of the images, what training would keep decoded in memory."""
    images = {item.image for item in items}
    one = prefix.images.prepared(next(iter(images))).num_bytes
    return min(1.0, DEFAULT_BUDGET / (one * len(images)))


def _free_memory() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
