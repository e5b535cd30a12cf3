"""Which group goes to which split: by a hash of its id, stratified by name, whole groups only."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from nameplate.records import SplitName
from nameplate.stages.split.groups import Group

HeldOut = Literal["test", "validation"]
# Test first: where a name has room for only one of them, the final number gets it.
_HELD_OUT: Final[tuple[HeldOut, ...]] = ("test", "validation")
_GROUPS_FOR_BOTH: Final = 3


def assign_groups(groups: Sequence[Group], *, validation: int, test: int, seed: int) -> dict[str, SplitName]:
    """The split of every group id.

    Each name gives validation and test rows in proportion to its own, and at least one group to each when it has three
    groups or more; training keeps at least half of each name's rows, which wins over everything else. Sizes are met as
    closely as whole groups allow. The order of `groups` does not matter.

    Args:
        validation: rows wanted for validation.
        test: rows wanted for test.
        seed: decides the order in which groups are drawn.
    """
    order = {group.id: hashlib.blake2b(f"{seed}|{group.id}".encode(), digest_size=16).digest() for group in groups}
    drawn = sorted(groups, key=lambda group: order[group.id])
    draw = _Draw(drawn, wanted={"test": test, "validation": validation})
    draw.one_group_each()
    draw.fill_quotas()
    draw.fill_totals()
    return {group.id: draw.assigned.get(group.id, "train") for group in groups}


def largest_remainder(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`total` divided in proportion to `weights`; what rounding leaves over goes to the largest remainders."""
    whole = sum(weights.values())
    shares = {name: total * weight // whole for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: (-(total * weights[name] % whole), name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


class _Draw:
    """Groups drawn so far. `room`: rows of each name that may still leave training."""

    def __init__(self, drawn: Sequence[Group], *, wanted: Mapping[HeldOut, int]) -> None:
        rows = Counter[str]()
        for group in drawn:
            rows.update(group.counts)
        self._drawn = drawn
        self._by_home: dict[str, list[Group]] = defaultdict(list)
        for group in drawn:
            self._by_home[group.home].append(group)
        self._room = {name: count // 2 for name, count in rows.items()}
        self._missing = {split: largest_remainder(wanted[split], rows) for split in _HELD_OUT}
        self._wanted = dict(wanted)
        self.assigned: dict[str, SplitName] = {}

    def one_group_each(self) -> None:
        """Names with three groups or more give one to test and one to validation, as far as their room goes."""
        for name, groups in sorted(self._by_home.items()):
            if len(groups) < _GROUPS_FOR_BOTH:
                continue
            for split in _HELD_OUT:
                self._take_first(groups, split, at_most=min(self._missing[split][name], self._room[name] // 2))

    def fill_quotas(self) -> None:
        """Each name gives its share, in the drawn order, never more than its share."""
        for name, groups in sorted(self._by_home.items()):
            for split in _HELD_OUT:
                for group in groups:
                    if group.size <= self._missing[split][name]:
                        self._take(group, split)

    def fill_totals(self) -> None:
        """What is still missing in all comes from the names that gave least of their share."""
        for split in _HELD_OUT:
            missing = self._missing[split]
            for group in sorted(self._drawn, key=lambda group: -missing[group.home]):
                if group.size <= self._wanted[split]:
                    self._take(group, split)

    def _take_first(self, groups: Iterable[Group], split: HeldOut, *, at_most: int) -> None:
        free = [group for group in groups if self._is_free(group)]
        if free:
            # The first that is not too large for its purpose, or else the smallest.
            self._take(next((group for group in free if group.size <= at_most), min(free, key=_size)), split)

    def _take(self, group: Group, split: HeldOut) -> None:
        if not self._is_free(group):
            return
        self.assigned[group.id] = split
        self._wanted[split] -= group.size
        for name, count in group.counts.items():
            self._room[name] -= count
            self._missing[split][name] -= count

    def _is_free(self, group: Group) -> bool:
        if group.id in self.assigned:
            return False
        return all(count <= self._room[name] for name, count in group.counts.items())


def _size(group: Group) -> int:
    return group.size
