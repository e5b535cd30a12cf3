"""The registry file that `nameplate names` writes: valid as it stands, with what is to be decided as comments."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from nameplate.names.counted import CountedName, CountedNames, NameFlag
from nameplate.names.offenders import Offender
from nameplate.names.overrides import Override
from nameplate.names.proposals import Likeness, Proposal

_MAX_NAME_CHARS: Final = 200
"""A longer name is a sentence; YAML would need another syntax for it."""
_MAX_COMMENT_CHARS: Final = 60
_WRAP: Final = 116
_HEAD: Final = """
#
# This file decides over the table: set name.registry to it in the recipe. It is valid as it stands and changes nothing
# yet; what is proposed stands behind '#', ready to be uncommented.
#
#   Display:         how the name is shown, and written back into captions; correct it freely
#     aliases:       other spellings; they count as the name
#     former_names:  what it was called once; known to be this name, but does not count in a text
#     line_of:       the main name of a line; a text that says the longer name says the line alone
#     parent:        the company; a note
#     policy:        plain: counts wherever it stands; cased: when written as a name ("a Coach bag", not "a coach");
#                    context: only in a place for a name ("by Coach", "Coach logo", "brand: coach")
""".strip()
_WHY: Final = {
    Likeness.ENDING: "only an ending differs",
    Likeness.WORD_ORDER: "the same words",
    Likeness.TYPO: "one letter differs",
    Likeness.INITIALS: "initials",
    Likeness.SIMILAR: "similar",
    Likeness.INSIDE: "the name stands inside",
}


@dataclass(frozen=True)
class RegistryDraft:
    """Everything that the file says.

    `decided`: entries that a person has written before; they are kept as they are. `examples`: texts of rows, by
    display form.
    """

    names: CountedNames
    proposals: Sequence[Proposal]
    offenders: Sequence[Offender]
    decided: Sequence[Override]
    examples: Mapping[str, Sequence[str]]


def registry_text(draft: RegistryDraft, *, origin: str) -> str:
    """The file. `origin` says which column it was made from."""
    return "\n".join(_Writer(draft).lines(origin)) + "\n"


def why(likeness: Likeness) -> str:
    """The likeness in a few words."""
    return _WHY[likeness]


class _Writer:
    def __init__(self, draft: RegistryDraft) -> None:
        self._draft = draft
        self._same: dict[str, list[Proposal]] = defaultdict(list)
        self._line_of: dict[str, Proposal] = {}
        for proposal in draft.proposals:
            if proposal.likeness is Likeness.INSIDE:
                self._line_of[proposal.other.display] = proposal
            else:
                self._same[proposal.name.display].append(proposal)
        self._proposed = {proposal.other.display for each in self._same.values() for proposal in each}
        self._offenders = {offender.name: offender for offender in draft.offenders}
        self._decided = {override.display: override for override in draft.decided}

    def lines(self, origin: str) -> Iterator[str]:
        """All lines, without their ends."""
        yield from _comment(f"Names of {origin}, looked at by `nameplate names`.")
        yield _HEAD
        names = [name for name in self._draft.names.names if self._has_entry(name)]
        decided = [name for name in names if name.display in self._decided]
        open_ones = [name for name in names if name.display not in self._decided and self._is_open(name)]
        yield from self._section("As it was decided before", decided)
        yield from self._section("To be decided", sorted(open_ones, key=self._urgency))
        done = {name.display for name in (*decided, *open_ones)}
        shown = [name for name in names if name.display not in done and _is_guessed(name)]
        yield from self._section("Shown in one of several spellings, or in one made from capitals", shown)
        rest = sum(name.rows > 0 for name in self._draft.names.names) - len(done) - len(shown)
        if rest:
            yield ""
            yield from _comment(f"{rest:,} more names need no line: they are taken as they stand in the table.")

    def _section(self, title: str, names: Sequence[CountedName]) -> Iterator[str]:
        if names:
            yield ""
            yield f"# --- {title}: {len(names):,}"
        for name in names:
            yield from self._entry(name)

    def _has_entry(self, name: CountedName) -> bool:
        """A name that is proposed as an alias has none of its own, so that its line only has to be uncommented."""
        return name.display in self._decided or not (
            name.display in self._proposed or len(name.display) > _MAX_NAME_CHARS
        )

    def _is_open(self, name: CountedName) -> bool:
        said = set(self._draft.names.flags(name)) - {NameFlag.INSIDE_ANOTHER}
        shown = name.display
        return bool(said) or shown in self._same or shown in self._line_of or shown in self._offenders

    def _urgency(self, name: CountedName) -> tuple[int, int, int, str]:
        offender = self._offenders.get(name.display)
        best = max((proposal.plausibility for proposal in self._same.get(name.display, ())), default=0)
        return (-offender.wrong[offender.policy] if offender else 0, -best, -name.rows, name.display)

    def _entry(self, name: CountedName) -> Iterator[str]:
        override = self._decided.get(name.display, Override(name.display))
        if NameFlag.NO_VALUE in self._draft.names.flags(name):
            yield from _comment(f"{_quoted(name.display)} looks like 'no value': if so, add it to table.null_values")
        yield f"{_scalar(name.display)}:  # {_rows(name)}"
        yield from self._policy(name, override)
        yield from self._list("aliases", override.aliases, self._same.get(name.display, ()))
        yield from self._list("former_names", override.former_names, ())
        if override.parent is not None:
            yield f"  parent: {_scalar(override.parent)}"
        if override.line_of is not None:
            yield f"  line_of: {_scalar(override.line_of)}"
        elif name.display in self._line_of:
            main = self._line_of[name.display].name.display
            yield f"  # line_of: {_scalar(main)}  # {_quoted(main)} stands inside; if it is no line, it may be an alias"

    def _policy(self, name: CountedName, override: Override) -> Iterator[str]:
        offender = self._offenders.get(name.display)
        policy = name.entry.match_policy
        if override.policy is None and policy == "plain" and offender is None:
            return
        notes = [] if override.policy is not None or policy == "plain" else [_because(self._draft.names.flags(name))]
        if offender is not None:
            notes.append(_measured(offender))
        said = "; ".join(note for note in notes if note)
        yield f"  policy: {policy}" + (f"  # {said}" if said else "")

    def _list(self, key: str, texts: Sequence[str], proposals: Iterable[Proposal]) -> Iterator[str]:
        proposals = list(proposals)
        if texts or proposals:
            yield f"  {key}:"
        yield from (f"    - {_scalar(text)}" for text in texts)
        for proposal in proposals:
            other = proposal.other
            if len(other.display) > _MAX_NAME_CHARS:
                continue
            example = next(iter(self._draft.examples.get(other.display, ())), "")
            notes = (_num_rows(other), why(proposal.likeness), _quoted(example) if example else "")
            yield f"    # - {_scalar(other.display)}  # {'; '.join(note for note in notes if note)}"


def _because(flags: Sequence[NameFlag]) -> str:
    if NameFlag.ORDINARY_WORD in flags:
        return "ordinary words"
    return "number" if NameFlag.NUMBER in flags else ""


def _measured(offender: Offender) -> str:
    claimed = f"{offender.wrong[offender.policy]:,}" if offender.wrong[offender.policy] else "none"
    now = f"stands in {offender.found_share:.1%} of others' texts; {claimed} of {offender.num_others:,} claim it"
    return (
        now if offender.suggests is None else f"{now}, with {offender.suggests} {offender.wrong[offender.suggests]:,}"
    )


def _is_guessed(name: CountedName) -> bool:
    return len(name.spellings) > 1 or name.display not in name.spellings


def _rows(name: CountedName) -> str:
    rows = _num_rows(name)
    if list(name.spellings) == [name.display] or not name.spellings:
        return rows
    spelled = sorted(name.spellings.items(), key=lambda pair: (-pair[1], pair[0]))
    return f"{rows}: " + ", ".join(f"{_quoted(spelling)} {count:,}" for spelling, count in spelled[:6])


def _num_rows(name: CountedName) -> str:
    return f"{name.rows:,} row" + ("s" if name.rows != 1 else "")


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(one_line(text, None), _WRAP, initial_indent="# ", subsequent_indent="# ")


def _quoted(text: str) -> str:
    return f"'{one_line(text, _MAX_COMMENT_CHARS)}'"


def one_line(text: str, max_chars: int | None) -> str:
    """Text of strangers in one line that no line break or control character ends."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if max_chars is None or len(line) <= max_chars else line[: max_chars - 3] + "..."


def _scalar(value: Any) -> str:
    # safe_dump ends a bare scalar with a document end mark.
    return yaml.safe_dump(value, allow_unicode=True, width=10**9).removesuffix("\n...\n").strip()
