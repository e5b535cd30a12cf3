"""Ids that were kept: exact against a plain set, small, and the same after a restart."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nameplate.stages.ingest.seen import SeenIds


@given(st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=20))
def test_it_answers_as_a_set_does(shards: list[list[str]]) -> None:
    seen, plain = SeenIds(), set[str]()
    for shard in shards:
        expected = []
        for row_id in shard:
            expected.append(row_id not in plain)
            plain.add(row_id)
        assert seen.add(shard).tolist() == expected
    assert len(seen) == len(plain)


def test_two_hundred_thousand_ids_take_eight_bytes_each() -> None:
    seen = SeenIds()
    tracemalloc.start()
    for shard in range(20):
        assert seen.add(f"P{shard * 10_000 + n:09d}" for n in range(10_000)).all()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert not seen.add(["P000000000", "P000199999"]).any()
    assert held < 200_000 * 9


def test_few_runs_are_searched() -> None:
    seen = SeenIds()
    for n in range(1000):
        seen.add([str(n)])
    assert len(seen._runs) <= 10
    assert all(np.all(np.diff(run) > 0) for run in seen._runs)
