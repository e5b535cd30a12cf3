"""The names that a run knows: one entry a name, however the table spells it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nameplate.errors import InputError
from nameplate.names.common import is_common
from nameplate.names.display import choose_display, clean_spelling
from nameplate.names.normalise import NORMALISER_VERSION, name_key
from nameplate.names.overrides import MatchPolicy, Override, read_overrides
from nameplate.store.fingerprint import fingerprint


@dataclass(frozen=True)
class NameEntry:
    """One name.

    `aliases` are other spellings, and count as the name. `former_names` are known, so that they are no other name, but
    do not count: who wants them to count writes them under `aliases`. `parent` (the company) and `line_of` (the main
    name of a line) are for readers; a line is told from its main name by the longest match. `match_policy`: `plain`
    wherever it stands, `cased` when it is written as a name, `context` only beside a word such as "by" or "logo".
    """

    display: str
    aliases: tuple[str, ...] = ()
    match_policy: MatchPolicy = "plain"
    former_names: tuple[str, ...] = ()
    parent: str | None = None
    line_of: str | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """Everything that the name is or was called."""
        return (self.display, *self.aliases, *self.former_names)


@dataclass(frozen=True)
class Registry:
    """All names of a run.

    Raises:
        InputError: two entries claim one spelling, a name has no letter or digit, or is the line of an unknown name.
    """

    entries: tuple[NameEntry, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        for entry in self.entries:
            if not name_key(entry.display):
                raise InputError(f"name '{entry.display}'", found="no letter or digit in it", fix="leave it out")
        for entry in self.entries:
            if entry.line_of is not None and self.lookup(entry.line_of) in (None, entry):
                raise InputError(
                    f"name '{entry.display}': line_of",
                    found=f"'{entry.line_of}' is no other name of this registry",
                    fix=f"add an entry '{entry.line_of}:', or leave line_of out",
                )
        assert self.by_key is not None

    @cached_property
    def by_key(self) -> dict[str, NameEntry]:
        """Entries by the normalised key of every spelling."""
        found: dict[str, NameEntry] = {}
        for entry in self.entries:
            for spelling in entry.spellings:
                other = found.setdefault(name_key(spelling), entry)
                if other is not entry:
                    raise InputError(
                        f"name registry: '{spelling}'",
                        found=f"it stands for both '{other.display}' and '{entry.display}'",
                        fix="give it to one of them",
                    )
        found.pop("", None)
        return found

    @cached_property
    def former_keys(self) -> frozenset[str]:
        """Keys that are former names and nothing else."""
        current = {name_key(spelling) for entry in self.entries for spelling in (entry.display, *entry.aliases)}
        return frozenset(name_key(old) for entry in self.entries for old in entry.former_names) - current

    def lookup(self, raw: str) -> NameEntry | None:
        """The entry that a spelling stands for: case, accents, punctuation, spacing and HTML do not matter."""
        return self.by_key.get(name_key(clean_spelling(raw)))

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
            return cls(tuple(_entry_from_json(name) for name in names))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("name registry", found=f"not a registry ({error})", fix="run ingest again") from None


def build_registry(counts: Mapping[str, int], overrides: Path | None = None) -> Registry:
    """A registry from a table's spellings.

    Spellings with one normalised key are one name ("NIKE", "Nike", "nike"). A name that consists of ordinary English
    words gets the policy `cased`, one of a single letter or of digits alone `context`. Spellings without a letter or
    digit are no names: `lookup` gives None for them.

    Args:
        counts: how often each spelling stands in the table.
        overrides: a YAML file `Display: {aliases: [...], policy: cased}` that decides over the table; its names are
            added even when the table does not have them, so that a text that claims one is seen to do so. A row that is
            called by a former name belongs to the name.

    Raises:
        InputError: the file cannot be read, or gives one spelling to two names.
    """
    groups = group_spellings(counts)
    entries = [_from_override(override, groups) for override in (read_overrides(overrides) if overrides else [])]
    entries += [_from_spellings(spellings) for spellings in groups.values()]
    return Registry(tuple(sorted(entries, key=lambda entry: (entry.display.casefold(), entry.display))))


def group_spellings(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Clean spellings with their counts, by the key that makes them one name; what has no key is left out."""
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for raw, count in counts.items():
        spelling = clean_spelling(raw)
        if key := name_key(spelling):
            groups[key][spelling] = groups[key].get(spelling, 0) + count
    return dict(groups)


def default_policy(spellings: Iterable[str]) -> MatchPolicy:
    """How a name is matched when nobody says it."""
    keys = {spelling: name_key(spelling) for spelling in spellings}
    if any(len(key) == 1 or key.isdigit() for key in keys.values()):
        return "context"
    return "cased" if any(is_common(spelling) for spelling in keys) else "plain"


def _from_override(override: Override, groups: dict[str, dict[str, int]]) -> NameEntry:
    """Takes the table's spellings of the name out of `groups`: they are the entry's from now on."""

    def of_table(spellings: Iterable[str]) -> set[str]:
        return {own for key in {name_key(spelling) for spelling in spellings} for own in groups.pop(key, {})}

    display = override.display  # as the person wrote it
    aliases = {*map(clean_spelling, override.aliases), *of_table((display, *override.aliases))} - {display}
    former = {*map(clean_spelling, override.former_names), *of_table(override.former_names)} - aliases - {display}
    return NameEntry(
        display,
        aliases=tuple(sorted(aliases)),
        match_policy=override.policy or default_policy((display, *aliases)),
        former_names=tuple(sorted(former)),
        parent=override.parent,
        line_of=override.line_of,
    )


def _from_spellings(spellings: Mapping[str, int]) -> NameEntry:
    display = choose_display(spellings)
    return NameEntry(display, tuple(sorted(spellings.keys() - {display})), default_policy((display, *spellings)))


def _entry_from_json(name: dict[str, Any]) -> NameEntry:
    lists = {"aliases": tuple(name["aliases"]), "former_names": tuple(name.get("former_names", ()))}
    return NameEntry(**{**name, **lists})
