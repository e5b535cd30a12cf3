"""What keeping a level costs and saves, and which level to keep: pure arithmetic over what one batch has shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from nameplate.models.prefix.levels import MEANINGS
from nameplate.recipe.training import PrefixLevel


class Work(NamedTuple):
    """What is left of a training."""

    epochs: int
    examples: int
    """Per epoch."""


class Cost(NamedTuple):
    """One level under one training, by its first batch."""

    level: PrefixLevel
    num_values: int
    """Images or examples, each counted once."""
    num_missing: int
    """Of these, not on disk yet."""
    bytes_each: int
    compute_seconds: float
    """For one value, from the image file on."""
    anew_seconds: float
    """What an example's value takes in an epoch that has nothing on disk; less where images stay in memory."""
    write_seconds: float
    """For one value."""
    read_seconds: float
    """For one value; from memory if all of them fit into it, else from disk."""

    @property
    def num_bytes(self) -> int:
        """On disk, when all is filled."""
        return self.num_values * self.bytes_each

    @property
    def missing_bytes(self) -> int:
        """Still to be written."""
        return self.num_missing * self.bytes_each

    @property
    def fill_seconds(self) -> float:
        """Until all is filled."""
        return self.num_missing * (self.compute_seconds + self.write_seconds)

    def saved_per_epoch(self, work: Work) -> float:
        """Seconds; negative where reading takes longer than computing."""
        return work.examples * (self.anew_seconds - self.read_seconds)

    def share(self, room: int) -> float:
        """How much of what is missing fits."""
        return 1.0 if self.missing_bytes <= room else room / self.missing_bytes

    def gain(self, work: Work, *, room: int) -> float:
        """Seconds saved in all, if as much is kept as fits."""
        kept = 1 - self.num_missing / max(self.num_values, 1) * (1 - self.share(room))
        return work.epochs * self.saved_per_epoch(work) * kept - self.fill_seconds * self.share(room)


LEAST_GAIN: Final = 0.02
"""Of what computing would take: less is within what one batch can tell."""


def choose(costs: Sequence[Cost], work: Work, *, rooms: Mapping[PrefixLevel, int]) -> Cost | None:
    """The level that saves most, the deeper one among equals; none: no level pays.

    Args:
        costs: of the valid levels, shallow first.
        work: what is left.
        rooms: bytes that may still be written, by level.
    """
    gains = {cost.level: cost.gain(work, room=rooms[cost.level]) for cost in costs}
    paying = [cost for cost in costs if gains[cost.level] > LEAST_GAIN * _anew(cost, work)]
    return max(reversed(paying), key=lambda cost: gains[cost.level], default=None)


def in_words(cost: Cost, work: Work, *, room: int) -> str:
    """What keeping a level costs and saves, in a line."""
    fits = cost.share(room)
    limit = "" if fits == 1 else f"; {fits:.0%} of what is missing fits, the rest is computed every time"
    num_there = cost.num_values - cost.num_missing
    there = f", of which {num_there:,} are there" if num_there else ""
    return (
        f"{MEANINGS[cost.level]} ({cost.level}): {cost.num_values:,}{there}, {_bytes(cost.num_bytes)} on disk; "
        f"filling takes about {_seconds(cost.fill_seconds * fits)} and saves about "
        f"{_seconds(cost.saved_per_epoch(work))} in each of {work.epochs} epochs{limit}"
    )


def why_not(cost: Cost, work: Work, *, room: int) -> str:
    """Why a level does not pay, in a few words."""
    if cost.saved_per_epoch(work) <= 0:
        return f"{cost.level}: reading it takes as long as computing it"
    if cost.share(room) == 0:
        return f"{cost.level}: {_bytes(cost.bytes_each)} each do not fit into {_bytes(room)}"
    if work.epochs == 1 and work.examples <= cost.num_values:
        return f"{cost.level}: one epoch is left, and nothing is looked at twice in it"
    spent, saved = _seconds(cost.fill_seconds), _seconds(work.epochs * cost.saved_per_epoch(work))
    return f"{cost.level}: filling would take {spent} and save {saved}"


def _anew(cost: Cost, work: Work) -> float:
    return work.epochs * work.examples * cost.anew_seconds


def _bytes(number: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f} bytes"


def _seconds(number: float) -> str:
    if number >= 5400:
        return f"{number / 3600:.1f} h"
    return f"{number / 60:.0f} min" if number >= 90 else f"{number:.1f} s"
