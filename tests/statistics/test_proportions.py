"""One share and two shares, against published values and against SciPy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nameplate.statistics import unpaired_difference, unpaired_p, wilson


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_has_newcombes_published_bounds(count: int, n: int, low: float, high: float) -> None:
    share = wilson(count, n)
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)
    assert share.value == count / n


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.data())
def test_wilson_equals_scipy(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    oracle = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    share = wilson(count, n)
    assert share.low == pytest.approx(oracle.low, abs=1e-12)
    assert share.high == pytest.approx(oracle.high, abs=1e-12)
    assert share.low <= share.value <= share.high


def test_nothing_counted_is_nothing_known() -> None:
    share = wilson(0, 0)
    assert (share.value, share.low, share.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:873), table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_an_unpaired_difference_is_newcombes(
    after: tuple[int, int], before: tuple[int, int], low: float, high: float
) -> None:
    assert unpaired_difference(before, after) == pytest.approx((low, high), abs=6e-5)
    assert unpaired_difference(after, before) == pytest.approx((-high, -low), abs=6e-5)


def test_rows_of_nothing_bound_nothing() -> None:
    assert unpaired_difference((0, 0), (5, 9)) == (-1.0, 1.0)
    assert unpaired_p((0, 0), (5, 9)) == unpaired_p((0, 9), (0, 5)) == unpaired_p((9, 9), (5, 5)) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_the_unpaired_test_is_pearsons(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    if 0 < a + b < n + m:
        oracle = stats.chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
        assert unpaired_p((a, n), (b, m)) == pytest.approx(oracle, rel=1e-9)
