"""The window of one server, against simulated ones."""

from __future__ import annotations

import random

from nameplate.teacher.pace import Pace


def play_round(pace: Pace, seconds: float, now: float, *, used: bool = True) -> None:
    """A window full of answers, each after `seconds`."""
    for _ in range(pace.window):
        pace.answered(seconds, under_way=pace.window - (not used), began=now, now=now + seconds)


def test_window_starts_at_half_and_doubles_in_a_round() -> None:
    pace = Pace(64)
    windows = [pace.window]
    for number in range(3):
        play_round(pace, 1.0, float(number))
        windows.append(pace.window)
    assert windows == [32, 64, 64, 64]
    assert Pace(1).window == 1 and Pace(3).window == 2


def test_window_that_is_not_used_does_not_grow() -> None:
    pace = Pace(64)
    for number in range(5):
        play_round(pace, 1.0, float(number), used=False)
    assert pace.window == 32


def test_busy_server_gets_a_third_less_once_a_round_and_one_more_each_round() -> None:
    pace = Pace(60)
    for _ in range(10):
        pace.busy(began=0.0, now=1.0)
    assert pace.window == 20
    pace.busy(began=1.5, now=2.0)
    assert pace.window == 13
    for number in range(6):
        play_round(pace, 1.0, 3.0 + number)
    assert 18 <= pace.window <= 20


def test_window_never_falls_under_one() -> None:
    pace = Pace(4)
    for number in range(50):
        pace.busy(began=float(number), now=number + 0.5)
    assert pace.window == 1


def test_a_queue_at_the_server_makes_the_window_smaller_until_it_is_gone() -> None:
    """A server that works on eight at a time, and was asked less than that at first: what is sent beyond only waits."""
    pace, now, windows = Pace(64), 0.0, []
    play_round(pace, 1.0, now, used=False)
    for _ in range(12):
        seconds = max(1.0, pace.window / 8)
        play_round(pace, seconds, now)
        now += seconds
        windows.append(pace.window)
    assert min(windows) <= 24 and all(8 <= window <= 32 for window in windows[2:]), windows


def test_a_server_that_is_slower_for_good_is_believed() -> None:
    pace, now = Pace(64), 0.0
    for _ in range(3):
        play_round(pace, 1.0, now)
        now += 1.0
    assert pace.window == 64
    smallest = 64
    for _ in range(80):
        play_round(pace, 4.0, now)
        now += 4.0
        smallest = min(smallest, pace.window)
    assert smallest < 64 and pace.window >= 60


def test_answers_of_very_different_length_are_no_queue() -> None:
    rng, pace, now = random.Random(0), Pace(32), 0.0
    for _ in range(200):
        window = pace.window
        for _ in range(window):
            pace.answered(rng.lognormvariate(0, 0.5), under_way=window, began=now, now=now + 1)
        now += 1.0
    assert pace.window == 32
