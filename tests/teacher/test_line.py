"""How long to wait for a teacher that has no answer now, and which failures are worth waiting for."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from nameplate.teacher.line import is_temporary, pause_seconds


@pytest.mark.parametrize(("failures", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (40, 30.0)])
def test_pause_doubles_up_to_thirty_seconds(failures: int, most: float) -> None:
    for seed in range(20):
        assert most * 0.75 <= pause_seconds(failures, None, rng=random.Random(seed)) <= most


def test_retry_after_is_obeyed_in_both_its_forms_up_to_five_minutes() -> None:
    rng = random.Random(0)
    assert pause_seconds(1, "7", rng=rng) == 7
    assert pause_seconds(1, "86400", rng=rng) == 300
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < pause_seconds(1, date, rng=rng) <= 60


@pytest.mark.parametrize("header", ["soon", "", "-5", "nan", "inf"])
def test_strange_retry_after_leaves_our_own_pause(header: str) -> None:
    assert pause_seconds(1, header, rng=random.Random(0)) <= 0.5


def test_only_failures_that_may_pass_are_temporary() -> None:
    assert [status for status in (400, 401, 403, 404, 413, 422, 429, 500, 503, 529) if is_temporary(status)] == [
        429,
        500,
        503,
        529,
    ]
