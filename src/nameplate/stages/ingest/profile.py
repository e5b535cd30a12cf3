"""What stands in each column of a table's first rows: counts, lengths, links, numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import mean
from typing import Final

from nameplate.text.words import count_words

NULL_TEXTS: Final = frozenset({"", "n.a.", "n/a", "na", "none", "nan", "null", "-", "--", "?", "nil", "unknown"})
"""Texts (in lower case) that often mean "no value"."""
MAX_CHARS: Final = 4_000
"""A cell is looked at no further."""

_LINK = re.compile(r"https?://\S+$", re.IGNORECASE)
_IMAGE_ENDING = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic)$", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?[\d][\d.,]*(e[-+]?\d+)?%?$", re.IGNORECASE)
_CURRENCY = r"[$\u00a3\u20ac\u00a5]|\b(?:usd|eur|gbp|aud|aed)\b"
_MONEY = re.compile(rf"(?:{_CURRENCY})\s*\d|\d\s*(?:{_CURRENCY})", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?$")


@dataclass(frozen=True)
class ColumnProfile:
    """One column in the rows that were looked at; `values` are its filled cells, clipped."""

    name: str
    num_rows: int
    values: tuple[str, ...]
    nulls: tuple[str, ...] = ()
    """Texts in it that mean "no value", empty ones left out."""
    holds_images: bool = False

    @property
    def filled(self) -> float:
        """Share of rows with a value; of images, which are not read, all are taken to be there."""
        if self.holds_images:
            return 1.0
        return len(self.values) / self.num_rows if self.num_rows else 0.0

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value stands."""
        return Counter(self.values)

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.counts)

    @cached_property
    def mean_words(self) -> float:
        """Words of a value, on average."""
        return mean(map(count_words, self.values)) if self.values else 0.0

    @cached_property
    def links(self) -> float:
        """Share of values that are web links."""
        return self._share(_LINK)

    @cached_property
    def image_endings(self) -> float:
        """Share of values that end as image files do, query left out."""
        return _share(bool(_IMAGE_ENDING.search(value.partition("?")[0])) for value in self.values)

    @cached_property
    def numbers(self) -> float:
        """Share of values that are numbers."""
        return self._share(_NUMBER)

    @cached_property
    def money(self) -> float:
        """Share of values with a currency beside a number."""
        return _share(bool(_MONEY.search(value)) for value in self.values)

    @cached_property
    def dates(self) -> float:
        """Share of values that are ISO dates."""
        return self._share(_DATE)

    @cached_property
    def nested(self) -> float:
        """Share of values that are JSON lists or objects."""
        return _share(value[:1] in "[{" and value[-1:] in "]}" for value in self.values)

    @cached_property
    def spaced(self) -> float:
        """Share of values with a space in them."""
        return _share(" " in value for value in self.values)

    def examples(self, number: int = 3, *, max_chars: int = 60) -> list[str]:
        """The most frequent values, clipped; those that stand first where none is more frequent."""
        common = (" ".join(value.split()) for value, _ in self.counts.most_common(number))
        return [text if len(text) <= max_chars else text[: max_chars - 3] + "..." for text in common]

    def _share(self, pattern: re.Pattern[str]) -> float:
        return _share(bool(pattern.match(value)) for value in self.values)


@dataclass
class _Column:
    values: list[str] = field(default_factory=list)
    nulls: set[str] = field(default_factory=set)


def profile_columns(
    rows: Iterable[Mapping[str, str]], columns: Sequence[str], *, image_columns: Collection[str] = ()
) -> dict[str, ColumnProfile]:
    """Look at rows, cell by cell.

    Args:
        rows: cells by column.
        columns: all columns of the table, in its order.
        image_columns: those that hold images themselves; their cells are not looked at.
    """
    found = {column: _Column() for column in columns}
    num_rows = 0
    for cells in rows:
        num_rows += 1
        for column, seen in found.items():
            value = cells.get(column, "").strip()
            if value.lower() not in NULL_TEXTS:
                seen.values.append(value[:MAX_CHARS])
            elif value:
                seen.nulls.add(value)
    return {
        column: ColumnProfile(column, num_rows, tuple(seen.values), tuple(sorted(seen.nulls)), column in image_columns)
        for column, seen in found.items()
    }


def _share(answers: Iterable[bool]) -> float:
    listed = list(answers)
    return sum(listed) / len(listed) if listed else 0.0
