"""Counting a column's values, and whether they are something to ask about."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from nameplate.names import Registry
from nameplate.stages.score.guards.values import Words, is_askable, value_words

MOST_VALUES: Final = 30
MOST_WANTED: Final = 200
"""Of a column that the recipe asks for."""
FILLED: Final = 0.5
"""Least share of rows that has a value."""
COMMONEST: Final = 0.95
"""Where one value has a larger share, there is nothing to ask."""
TIED: Final = 0.9
"""Where the value tells the name of so many rows, or the name the value, the column is the name in other words."""
_CODE_LETTERS: Final = 3


@dataclass
class Tally:
    """One column's values on all rows of the split."""

    most: int = MOST_VALUES
    """With more values it stops counting."""
    rows: int = 0
    filled: int = 0
    too_many: bool = False
    pairs: Counter[tuple[Words, str]] = field(default_factory=Counter)
    """Rows by value and name."""
    spellings: dict[Words, str] = field(default_factory=dict)

    def add(self, value: str, name: str) -> None:
        """Count one row's value."""
        self.filled += 1
        if self.too_many:
            return
        words = value_words(value)
        self.spellings.setdefault(words, value)
        self.pairs[words, name] += 1
        if len(self.spellings) > self.most:
            self.too_many = True
            self.pairs.clear()

    @property
    def askable(self) -> list[Words]:
        """Values that an answer can say."""
        return [words for words in self.spellings if is_askable(words)]

    def fits(self, registry: Registry) -> bool:
        """Whether there is something to ask that is not the name."""
        values = list(self.spellings)
        if self.too_many or len(values) < 2 or self.filled < FILLED * self.rows:
            return False
        if not all(map(is_askable, values)) or all(map(_is_code, self.spellings.values())):
            return False
        if sum(registry.lookup(value) is not None for value in self.spellings.values()) > len(values) / 2:
            return False
        return self._share(0) <= COMMONEST and not self._is_tied()

    def _share(self, side: int) -> float:
        """Of the commonest value (0) or name (1)."""
        counts: Counter[object] = Counter()
        for pair, count in self.pairs.items():
            counts[pair[side]] += count
        return max(counts.values()) / self.filled

    def _is_tied(self) -> bool:
        """Whether value and name tell each other; not where one of them hardly changes."""
        return any(self._told(by) >= max(TIED, self._share(1 - by) + (1 - TIED) / 2) for by in (0, 1))

    def _told(self, by: int) -> float:
        """Share of rows whose name (value) is the commonest of their value (name)."""
        most: dict[object, int] = defaultdict(int)
        for pair, count in self.pairs.items():
            most[pair[by]] = max(most[pair[by]], count)
        return sum(most.values()) / self.filled


def _is_code(value: str) -> bool:
    """Such as FRA, EUR or XL: nothing that is to be seen."""
    return value.isupper() and len(value) <= _CODE_LETTERS
