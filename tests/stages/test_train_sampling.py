"""Which rows an epoch has: how often names are seen, and how repeats are spread."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.stages.train.sampling import Balance, RowSampler, quotas

NAMES = ["a"] * 60 + ["b"] * 30 + ["c"] * 9 + ["d"]


def test_quotas_are_the_shares_that_the_balance_says() -> None:
    counts = Counter(NAMES)
    assert quotas(counts, "none") == counts
    assert quotas(counts, "uniform") == {"a": 25, "b": 25, "c": 25, "d": 25}
    # 100 divided as the roots 7.75, 5.48, 3 and 1, which add up to 17.22.
    assert quotas(counts, "sqrt") == {"a": 45, "b": 32, "c": 17, "d": 6}


@given(
    counts=st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 50), min_size=1),
    balance=st.sampled_from(["none", "sqrt", "uniform"]),
)
@settings(max_examples=60, deadline=None)
def test_quotas_add_up_and_leave_no_name_out(counts: dict[str, int], balance: Balance) -> None:
    found = quotas(counts, balance)
    assert sum(found.values()) == sum(counts.values())
    assert set(found) == set(counts)
    assert min(found.values()) >= 1


@pytest.mark.parametrize("balance", ["none", "sqrt", "uniform"])
def test_rows_of_a_name_are_seen_equally_often_at_any_epoch(balance: Balance) -> None:
    sampler = RowSampler(NAMES, balance=balance, seed=3)
    seen = Counter[int]()
    for epoch in range(7):
        rows = sampler.rows(epoch)
        assert len(rows) == len(NAMES)
        assert Counter(NAMES[row] for row in rows) == sampler.quotas
        seen.update(rows.tolist())
        for name in set(NAMES):
            times = [seen[row] for row, own in enumerate(NAMES) if own == name]
            assert max(times) - min(times) <= 1


def test_rows_depend_on_seed_and_epoch_alone() -> None:
    one = RowSampler(NAMES, balance="sqrt", seed=1)
    first = one.rows(0)
    assert np.array_equal(one.rows(5), RowSampler(NAMES, balance="sqrt", seed=1).rows(5))
    assert not np.array_equal(first, one.rows(1))
    assert not np.array_equal(first, RowSampler(NAMES, balance="sqrt", seed=2).rows(0))


def test_repeats_are_spread_over_the_epoch() -> None:
    sampler = RowSampler(NAMES, balance="uniform", seed=0)
    rows = sampler.rows(0)
    for seed in range(5):
        order = sampler.order(rows, np.random.default_rng(seed))
        assert sorted(order) == list(range(len(rows)))
        places = [place for place, slot in enumerate(order) if rows[slot] == len(NAMES) - 1]
        assert len(places) == 25
        # One falls into each of 25 equal parts of the epoch's time; scattered by chance, some quarter would have few.
        assert all(sum(25 * part <= place < 25 * (part + 1) for place in places) >= 3 for part in range(4))
