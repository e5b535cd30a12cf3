"""Each interval holds the truth as often as it says, within the error of 2,000 simulations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from tests.statistics.coverage import (
    LEVEL,
    REPETITIONS,
    Held,
    drawn_cases,
    macro_cases,
    other_cases,
    plain_cases,
    too_narrow_cases,
)

ERROR = math.sqrt(LEVEL * (1 - LEVEL) / REPETITIONS)
"""Half a percentage point."""


@pytest.mark.parametrize(
    ("cases", "num_cases"), [(plain_cases, 10), (drawn_cases, 5), (macro_cases, 2), (other_cases, 2)]
)
def test_every_interval_holds_its_level_within_simulation_error(
    cases: Callable[[], Iterator[Held]], num_cases: int
) -> None:
    found = list(cases())
    assert len(found) == num_cases and all(case.repetitions == REPETITIONS for case in found)
    assert [case for case in found if case.share < LEVEL - 3 * ERROR] == []
    # None is so wide that it says nothing: the most careful one holds 98 % of the time.
    assert [case for case in found if case.share > 0.98] == []


def test_what_is_known_to_be_too_narrow_is() -> None:
    """Images of one product taken for independent, and resampling of few products: why neither decides."""
    ignoring, few = too_narrow_cases()
    assert ignoring.share < 0.85
    assert few.share < LEVEL - 3 * ERROR
