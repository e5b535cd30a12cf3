"""Judging kept answers by other names: no model is needed, since the answers stand in the predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from nameplate.errors import InputError
from nameplate.names import Matcher, Registry, build_registry, is_mentioned, is_right, is_strict
from nameplate.names.normalise import name_key
from nameplate.store.rundir import RunDirectory

SHOWN: Final = 5
"""Names that an error lists."""


class Judged(NamedTuple):
    """One answer, judged."""

    name: str
    """The true name, as the registry shows it."""
    verdict: str
    right: bool
    strict: bool
    mentioned: bool


class Judge:
    """Judges answers by one registry; the same answer to the same name is judged once."""

    def __init__(self, registry: Registry) -> None:
        self.matcher = Matcher(registry)
        self._known: dict[tuple[str, str], Judged] = {}

    @property
    def num_judged(self) -> int:
        """Distinct pairs of name and answer so far."""
        return len(self._known)

    def judge(self, answer: str, name: str) -> Judged:
        """What an answer says about a name.

        Raises:
            InputError: the registry does not know the name.
        """
        key = (answer, name)
        if key not in self._known:
            self._known[key] = self._judge(answer, name)
        return self._known[key]

    def _judge(self, answer: str, name: str) -> Judged:
        found = self.matcher.judge(answer, name)
        entry = self.matcher.registry.lookup(name)
        assert entry is not None, "the matcher judged a name that is not there"
        return Judged(
            name=entry.display,
            verdict=found.verdict.value,
            right=is_right(found),
            # Being strict is judged again, which most answers need not be.
            strict=is_right(found) and is_strict(answer, name, self.matcher),
            mentioned=is_mentioned(found),
        )


def read_registry(path: Path, *, own: Registry) -> Registry:
    """The names to judge by.

    Args:
        path: a YAML file as `nameplate names` writes it, which decides over the run's own names as it would in a
            recipe; or a run, or its `registry.json`, which is taken as it stands.
        own: the run's names.

    Raises:
        InputError: there is no such file, or it is no registry.
    """
    path = path / "ingest" / "registry.json" if path.is_dir() else path
    if not path.is_file():
        raise InputError(str(path), found="no such registry", fix="give a run, or a file that `nameplate names` wrote")
    if path.suffix.lower() in (".yaml", ".yml"):
        return build_registry(dict.fromkeys(_of_table(own), 1), overrides=path)
    try:
        return Registry.from_json(path.read_text(encoding="utf-8"))
    except (InputError, UnicodeDecodeError, OSError):
        expected = "a run, its registry.json, or a .yaml file that `nameplate names` wrote"
        raise InputError(str(path), found="not a registry", expected=expected) from None


def own_registry(run: RunDirectory) -> Registry:
    """The names that a run was judged by.

    Raises:
        InputError: they are gone, or broken.
    """
    path = run.registry_path
    try:
        return Registry.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise InputError(str(path), found="is gone", fix="run `nameplate ingest` on its recipe again") from None


def lost_spellings(own: Registry, new: Registry) -> list[str]:
    """Spellings that the run's names had and the new ones do not: what an earlier file had merged."""
    return sorted(
        spelling for entry in own.entries for spelling in entry.spellings if name_key(spelling) not in new.by_key
    )


def outside(names: Iterable[str], registry: Registry) -> dict[str, int]:
    """Names that the registry does not know, the most frequent first, with how often each stands there."""
    counts = Counter(names)
    return {name: count for name, count in counts.most_common() if registry.lookup(name) is None}


def check_inside(names: Iterable[str], registry: Registry, *, where: str, fix: str) -> None:
    """Refuse rows whose true names the registry does not know.

    Raises:
        InputError: with the names.
    """
    unknown = outside(names, registry)
    if unknown:
        found = f"{sum(unknown.values()):,} answers are to names that the registry lacks: {_list(unknown)}"
        raise InputError(where, found=found, fix=fix)


def _list(unknown: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name!r} ({count:,})" for name, count in list(unknown.items())[:SHOWN])
    return shown + (f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else "")


def _of_table(own: Registry) -> Iterable[str]:
    """The table's names without what an earlier file merged into them: the new file decides anew."""
    for entry in own.entries:
        yield entry.display
        yield from (alias for alias in entry.aliases if name_key(alias) == name_key(entry.display))
