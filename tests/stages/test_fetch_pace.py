"""Whose fault it is: a few dead links do not slow their host, a host in trouble is slowed."""

import random

import pytest

from nameplate.stages.fetch.network.pace import BUSY_ANSWERS, Ending, HostPace, Outcome

ANSWERED = Ending(Outcome.ANSWERED)
BROKEN = Ending(Outcome.BROKEN, "truncated", "the body ended early")
SILENT = Ending(Outcome.SILENT, "connect_error", "reset")


def limit_after(pace: HostPace, endings: list[Ending]) -> int:
    for now, ending in enumerate(endings):
        pace.ended(ending, started=now, now=now + 0.5)
    return pace.limit


def mixed(share: float, trouble: Ending, *, seed: int, number: int = 3000) -> list[Ending]:
    chance = random.Random(seed)
    return [trouble if chance.random() < share else ANSWERED for _ in range(number)]


@pytest.mark.parametrize("trouble", [SILENT, BROKEN], ids=["silent", "broken"])
@pytest.mark.parametrize("seed", range(5))
def test_dead_links_asked_three_times_each_do_not_slow_their_host(trouble: Ending, seed: int) -> None:
    # Three links of a hundred are dead for ever: nine of 106 requests.
    assert limit_after(HostPace(64), mixed(0.085, trouble, seed=seed)) >= 32
    assert limit_after(HostPace(4), mixed(0.085, trouble, seed=seed)) >= 2


@pytest.mark.parametrize("trouble", [SILENT, BROKEN], ids=["silent", "broken"])
def test_a_host_that_fails_one_request_in_three_is_slowed_to_one_at_once(trouble: Ending) -> None:
    assert limit_after(HostPace(64), mixed(0.34, trouble, seed=0)) <= 2


@pytest.mark.parametrize("trouble", [SILENT, BROKEN], ids=["silent", "broken"])
def test_five_troubles_together_slow_a_host_and_four_do_not(trouble: Ending) -> None:
    assert limit_after(HostPace(8), [trouble] * 4) == 8
    assert limit_after(HostPace(8), [trouble] * 5) == 4


def test_answers_that_break_off_in_a_row_earn_a_rest() -> None:
    pace = HostPace(4)
    for now in range(BUSY_ANSWERS):
        assert pace.not_before <= now
        pace.ended(BROKEN, started=now, now=now)
    assert pace.not_before == BUSY_ANSWERS
