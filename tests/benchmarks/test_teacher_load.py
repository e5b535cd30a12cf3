"""The benchmark's server counts what is under way at once, over time."""

from __future__ import annotations

import json

import pytest

import teacher_server


def test_mean_is_over_the_time_between_the_first_request_and_the_last_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(teacher_server.time, "monotonic", lambda: now)
    load = teacher_server.Load()
    for at, change in ((5.0, 1), (6.0, 1), (8.0, -1), (9.0, -1)):
        now = at
        load.change(change)
    now = 20.0
    # One for a second, two for two seconds, one for a second.
    assert json.loads(load.figures()) == {"mean": 6 / 4, "most": 2, "requests": 2, "seconds": 4.0}
