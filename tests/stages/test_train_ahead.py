"""Batches that are prepared ahead are those that would have come anyway."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from nameplate.stages.train.ahead import BATCHES_AHEAD, LoaderAhead


class Counting:
    """Collates to the items themselves, and may fail at one."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad = bad
        self.made: list[Sequence[int]] = []

    def __call__(self, items: Sequence[int]) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        if self.bad in items:
            raise ValueError(f"cannot collate {self.bad}")
        self.made.append(items)
        return items


def loader(collate: Counting) -> LoaderAhead:
    dataset: Any = list(range(100))
    return LoaderAhead(dataset, batch_sampler=[[3 * place, 3 * place + 1] for place in range(30)], collate_fn=collate)


def readers() -> Iterator[threading.Thread]:
    return (thread for thread in threading.enumerate() if "_read" in thread.name)


def test_all_batches_come_in_order_in_every_epoch() -> None:
    ahead = loader(Counting())
    for _ in range(2):
        assert list(ahead) == [[3 * place, 3 * place + 1] for place in range(30)]
    assert not list(readers())


def test_an_error_comes_in_its_place() -> None:
    seen = []
    with pytest.raises(ValueError, match="cannot collate 12"):
        for batch in loader(Counting(bad=12)):
            seen.append(batch)
    assert seen == [[0, 1], [3, 4], [6, 7], [9, 10]]
    assert not list(readers())


def test_who_stops_early_leaves_no_reader_behind_and_not_all_is_read() -> None:
    collate = Counting()
    batches = iter(loader(collate))
    assert next(batches) == [0, 1]
    batches.close()  # type: ignore[attr-defined]
    assert not list(readers())
    # One given, those that wait, and one in the reader's hand before and after it learns that it is over.
    assert len(collate.made) <= 1 + BATCHES_AHEAD + 2
