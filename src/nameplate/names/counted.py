"""The names of a column with their rows: what a person looks at before deciding what is one name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from nameplate.names.common import is_common, word_set
from nameplate.names.display import clean_spelling
from nameplate.names.normalise import tokens
from nameplate.names.registry import NameEntry, Registry, build_registry

_LONG_CHARS: Final = 80
_SHORT_KEY: Final = 2
_MAX_INNER_WORDS: Final = 12
_ODD: Final = re.compile(r"&[#\w]+;|</?[A-Za-z][^<>]*>|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffd]")
_NO_VALUE: Final = word_set("""
    unknown unbranded generic other others various misc miscellaneous nobrand nobrandname notavailable notapplicable
    notspecified unspecified undefined default test tbd tba noname doesnotapply handmade na nan nil none null
""")


class NameFlag(StrEnum):
    """Why a name wants a second look."""

    ORDINARY_WORD = "ordinary_word"
    NUMBER = "number"
    SHORT = "short"
    INSIDE_ANOTHER = "inside_another"
    NO_VALUE = "no_value"
    ODD = "odd"


class CountedName(NamedTuple):
    """One name with its rows.

    `spellings` are the table's own, as they stand there, with their rows; `key` and `words` are the display form as it
    compares.
    """

    entry: NameEntry
    rows: int
    spellings: Mapping[str, int]
    key: str
    words: tuple[str, ...]

    @property
    def display(self) -> str:
        """How it is shown."""
        return self.entry.display


class CountedNames:
    """All names of a column.

    Args:
        counts: how often each spelling stands in the column.
        overrides: the registry file so far, if any.
    """

    def __init__(self, counts: Mapping[str, int], overrides: Path | None = None) -> None:
        self.registry: Registry = build_registry(counts, overrides)
        spelled: dict[str, dict[str, int]] = defaultdict(dict)
        self.without_name = 0
        for raw, count in counts.items():
            entry = self.registry.lookup(raw)
            if entry is None:
                self.without_name += count
            else:
                spelled[entry.display][raw] = count
        self.names: Sequence[CountedName] = sorted(
            (_counted(entry, spelled[entry.display]) for entry in self.registry.entries),
            key=lambda name: (-name.rows, name.display),
        )

    @cached_property
    def inside(self) -> Mapping[str, tuple[str, ...]]:
        """For each name that stands inside longer ones, those names, the most frequent first; by display form."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            for inner in self.inner(name):
                found[inner.display].append(name.display)
        return {inner: tuple(outer) for inner, outer in found.items()}

    def inner(self, name: CountedName) -> list[NameEntry]:
        """The longest names that are made of words of `name` and are not all of them."""
        words = name.words[:_MAX_INNER_WORDS]
        for length in range(len(words) - 1, 0, -1):
            keys = ("".join(words[start : start + length]) for start in range(len(words) - length + 1))
            found = [entry for key in keys if (entry := self.registry.by_key.get(key)) not in (None, name.entry)]
            if found:
                return list(dict.fromkeys(entry for entry in found if entry is not None))
        return []

    def flags(self, name: CountedName) -> tuple[NameFlag, ...]:
        """What is to be looked at, in the order of `NameFlag`."""
        key = name.key
        said = {
            NameFlag.ORDINARY_WORD: not key.isdigit() and is_common(name.display),
            NameFlag.NUMBER: key.isdigit(),
            NameFlag.SHORT: not key.isdigit() and key.isascii() and len(key) <= _SHORT_KEY,
            NameFlag.INSIDE_ANOTHER: name.display in self.inside,
            NameFlag.NO_VALUE: key in _NO_VALUE,
            NameFlag.ODD: any(_is_odd(spelling) for spelling in name.spellings),
        }
        return tuple(flag for flag, is_so in said.items() if is_so)


def _counted(entry: NameEntry, spellings: Mapping[str, int]) -> CountedName:
    words = tuple(token.text for token in tokens(entry.display))
    return CountedName(entry, sum(spellings.values()), spellings, "".join(words), words)


def _is_odd(spelling: str) -> bool:
    return bool(_ODD.search(spelling)) or len(clean_spelling(spelling)) > _LONG_CHARS
