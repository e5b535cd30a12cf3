"""Which level is kept, by what one batch has shown: arithmetic without a clock."""

from __future__ import annotations

from typing import Any

import pytest

from nameplate.models.prefix.costs import Cost, Work, choose, in_words, why_not
from nameplate.recipe.training import PrefixLevel

GB = 10**9
ROOM: dict[PrefixLevel, int] = {"tiles": 10 * GB, "vision": 10 * GB, "projected": 10 * GB, "hidden": 10 * GB}


def cost(level: PrefixLevel = "vision", **changes: Any) -> Cost:
    """Of a thousand images: 100 ms to compute, 1 ms to read, 2 MB each."""
    values: dict[str, Any] = {
        "num_values": 1000,
        "num_missing": 1000,
        "bytes_each": 2_000_000,
        "compute_seconds": 0.1,
        "anew_seconds": 0.1,
        "write_seconds": 0.005,
        "read_seconds": 0.001,
    }
    return Cost(level, **(values | changes))


def test_what_is_looked_at_once_is_not_kept() -> None:
    once = Work(epochs=1, examples=1000)
    assert choose([cost()], once, rooms=ROOM) is None
    assert "one epoch is left" in why_not(cost(), once, room=ROOM["vision"])


def test_one_epoch_pays_where_images_come_again_or_are_there_already() -> None:
    assert choose([cost(num_values=300, num_missing=300)], Work(1, 1000), rooms=ROOM) is not None
    assert choose([cost(num_missing=0)], Work(1, 1000), rooms=ROOM) is not None


def test_the_level_that_saves_most_is_kept() -> None:
    work = Work(epochs=5, examples=1000)
    tiles = cost("tiles", anew_seconds=0.01, compute_seconds=0.01)
    hidden = cost("hidden", anew_seconds=0.3, compute_seconds=0.3, num_values=2000, num_missing=2000)
    chosen = choose([tiles, cost(), hidden], work, rooms=ROOM)
    assert chosen is hidden
    assert choose([tiles, cost()], work, rooms=ROOM) == cost()
    # Two entries for every row cost more to fill than two epochs save.
    assert choose([tiles, cost(), hidden], Work(2, 1000), rooms=ROOM) == cost()


def test_reading_that_is_slower_than_computing_does_not_pay() -> None:
    slow = cost(read_seconds=0.2)
    assert choose([slow], Work(100, 1000), rooms=ROOM) is None
    assert "reading it takes as long" in why_not(slow, Work(100, 1000), room=GB)


def test_beyond_the_budget_a_smaller_level_or_a_part_is_kept() -> None:
    work = Work(epochs=10, examples=1000)
    small = cost("projected", bytes_each=100_000, anew_seconds=0.08)
    tight: dict[PrefixLevel, int] = dict.fromkeys(ROOM, GB // 10)
    assert choose([small, cost("hidden", anew_seconds=0.3)], work, rooms=tight) is small
    half = dict.fromkeys(ROOM, GB)
    assert choose([cost()], work, rooms=half) == cost()
    assert "50% of what is missing fits" in in_words(cost(), work, room=GB)
    none: dict[PrefixLevel, int] = dict.fromkeys(ROOM, 0)
    assert choose([cost()], work, rooms=none) is None
    assert "do not fit into 0 bytes" in why_not(cost(), work, room=0)


@pytest.mark.parametrize(
    ("work", "found", "said"),
    [
        (Work(4, 1000), cost(), "1,000, 2.0 GB on disk; filling takes about 2 min and saves"),
        (
            Work(4, 1000),
            cost(num_missing=400),
            "1,000, of which 600 are there, 2.0 GB on disk; filling takes",
        ),
    ],
)
def test_cost_and_saving_are_said_before_they_are_spent(work: Work, found: Cost, said: str) -> None:
    assert said in in_words(found, work, room=10 * GB)
    assert in_words(found, work, room=10 * GB).startswith("what the projector reads of each image (vision)")
