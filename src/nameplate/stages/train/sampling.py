"""Which rows an epoch has, and how it asks about them. Pure: by seed and epoch alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

Balance = Literal["none", "sqrt", "uniform"]


class RowSampler:
    """As many rows as there are, each epoch; with a balance, names have other shares than they have rows.

    A name's rows come in turn, across epochs, shuffled anew each time all have been seen: at any moment, two rows of a
    name have been seen equally often or once more.

    Args:
        names: of the rows.
        balance: none: each row once; sqrt: names by the root of their rows; uniform: all names alike.
        seed: of the turns.
    """

    def __init__(self, names: Sequence[str], *, balance: Balance, seed: int) -> None:
        self._num_rows = len(names)
        self._balance: Balance = balance
        self._seed = seed
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(names):
            self._rows[name].append(row)
        self.quotas = quotas(Counter(names), balance)
        """Examples of each name in an epoch."""

    def rows(self, epoch: int) -> np.ndarray:
        """The rows of an epoch, each as often as it is seen; in no useful order."""
        if self._balance == "none":
            return np.arange(self._num_rows)
        taken = [in_turn(rows, self.quotas[name], epoch, seed=self._seed) for name, rows in self._rows.items()]
        return np.concatenate(taken)

    def order(self, rows: np.ndarray, generator: np.random.Generator) -> list[int]:
        """Places in `rows`, shuffled; a row that comes several times is spread over the epoch."""
        if self._balance == "none":
            shuffled: list[int] = generator.permutation(len(rows)).tolist()
            return shuffled
        times = Counter(rows.tolist())
        seen = Counter[int]()
        when = generator.random(len(rows))
        for place, row in enumerate(rows.tolist()):
            when[place] = (seen[row] + when[place]) / times[row]
            seen[row] += 1
        ordered: list[int] = np.argsort(when, kind="stable").tolist()
        return ordered


def in_turn(rows: Sequence[int], count: int, epoch: int, *, seed: int) -> np.ndarray:
    """`count` rows an epoch, across epochs one after the other, shuffled anew each time all have been seen."""
    start = epoch * count
    end = start + count
    taken = []
    for turn in range(start // len(rows), -(-end // len(rows))):
        shuffled = np.random.default_rng([seed, rows[0], turn]).permutation(rows)
        before = turn * len(rows)
        taken.append(shuffled[max(start - before, 0) : end - before])
    return np.concatenate(taken)


def quotas(counts: Mapping[str, int], balance: Balance) -> dict[str, int]:
    """Examples of each name in an epoch, as many in all as there are rows; at least one each."""
    power = {"none": 1.0, "sqrt": 0.5, "uniform": 0.0}[balance]
    weights = {name: count**power for name, count in counts.items()}
    rows_per_weight = sum(counts.values()) / sum(weights.values())
    exact = {name: weight * rows_per_weight for name, weight in weights.items()}
    # A hair more than exact: 2.9999999 rows are three.
    whole = {name: int(share + 1e-9) for name, share in exact.items()}
    missing = sum(counts.values()) - sum(whole.values())
    for name in sorted(exact, key=lambda name: (whole[name] - exact[name], name))[:missing]:
        whole[name] += 1
    return whole
