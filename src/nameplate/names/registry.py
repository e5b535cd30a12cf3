"""The names that a run knows: one entry a name, however the table spells it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from nameplate.errors import InputError
from nameplate.names.common import is_common
from nameplate.names.display import choose_display, clean_spelling
from nameplate.names.normalise import NORMALISER_VERSION, name_key
from nameplate.names.overrides import MatchPolicy, Override, read_overrides
from nameplate.store.fingerprint import fingerprint


@dataclass(frozen=True)
class NameEntry:
    """One name: how it is shown, how else it is spelled, and whether its case decides (`cased`: an ordinary word)."""

    display: str
    aliases: tuple[str, ...] = ()
    match_policy: MatchPolicy = "plain"


@dataclass(frozen=True)
class Registry:
    """All names of a run.

    Raises:
        InputError: two entries claim one spelling, or a name has no letter or digit.
    """

    entries: tuple[NameEntry, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        for entry in self.entries:
            if not name_key(entry.display):
                raise InputError(f"name '{entry.display}'", found="no letter or digit in it", fix="leave it out")
        assert self.by_key is not None

    @cached_property
    def by_key(self) -> dict[str, NameEntry]:
        """Entries by the normalised key of their display form and of every alias."""
        found: dict[str, NameEntry] = {}
        for entry in self.entries:
            for spelling in (entry.display, *entry.aliases):
                other = found.setdefault(name_key(spelling), entry)
                if other is not entry:
                    raise InputError(
                        f"name registry: '{spelling}'",
                        found=f"it stands for both '{other.display}' and '{entry.display}'",
                        fix="give it to one of them",
                    )
        found.pop("", None)
        return found

    def lookup(self, raw: str) -> NameEntry | None:
        """The entry that a spelling stands for: case, accents, punctuation and spacing do not matter."""
        return self.by_key.get(name_key(raw))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the entries and of the normaliser's version."""
        return fingerprint(NORMALISER_VERSION, [asdict(entry) for entry in self.entries])

    def to_json(self) -> str:
        """The registry as JSON text, the same for the same entries."""
        tree = {"normaliser": NORMALISER_VERSION, "names": [asdict(entry) for entry in self.entries]}
        return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Registry:
        """The registry that `to_json` wrote.

        Raises:
            InputError: the text is something else.
        """
        try:
            names = json.loads(text)["names"]
            return cls(tuple(NameEntry(**{**name, "aliases": tuple(name["aliases"])}) for name in names))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("name registry", found=f"not a registry ({error})", fix="run ingest again") from None


def build_registry(counts: Mapping[str, int], overrides: Path | None = None) -> Registry:
    """A registry from a table's spellings.

    Spellings with one normalised key are one name ("NIKE", "Nike", "nike"). A name that consists of ordinary English
    words gets the policy `cased`. Spellings without a letter or digit are no names: `lookup` gives None for them.

    Args:
        counts: how often each spelling stands in the table.
        overrides: a YAML file `Display: {aliases: [...], policy: cased}` that decides over the table; its names are
            added even when the table does not have them, so that a text that claims one is seen to do so.

    Raises:
        InputError: the file cannot be read, or gives one spelling to two names.
    """
    groups = _group(counts)
    entries = [_from_override(override, groups) for override in (read_overrides(overrides) if overrides else [])]
    entries += [_from_spellings(spellings) for spellings in groups.values()]
    return Registry(tuple(sorted(entries, key=lambda entry: (entry.display.casefold(), entry.display))))


def _group(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for raw, count in counts.items():
        spelling, key = clean_spelling(raw), name_key(raw)
        if key:
            groups[key][spelling] = groups[key].get(spelling, 0) + count
    return groups


def _from_override(override: Override, groups: dict[str, dict[str, int]]) -> NameEntry:
    """Takes the table's spellings of the name out of `groups`: they are the entry's from now on."""
    own = (override.display, *override.aliases)
    table = [spelling for key in {name_key(spelling) for spelling in own} for spelling in groups.pop(key, {})]
    return _entry(override.display, (*override.aliases, *table), override.policy)


def _from_spellings(spellings: Mapping[str, int]) -> NameEntry:
    return _entry(choose_display(spellings), spellings, None)


def _entry(display: str, spellings: Iterable[str], policy: MatchPolicy | None) -> NameEntry:
    aliases = tuple(sorted(set(spellings) - {display}))
    cased = any(is_common(spelling) for spelling in (display, *aliases))
    return NameEntry(display, aliases, policy or ("cased" if cased else "plain"))
