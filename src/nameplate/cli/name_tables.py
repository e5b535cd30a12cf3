"""What `names` prints for a person; texts of strangers are never read as markup or control codes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nameplate.names.counted import NameFlag
from nameplate.names.registry_file import one_line, why

if TYPE_CHECKING:
    from nameplate.cli.naming import NamesFound
    from nameplate.names.counted import CountedName
    from nameplate.names.offenders import Offender

_TOP: Final = 10
_NAME_CHARS: Final = 26
_EXAMPLE_CHARS: Final = 70 - _NAME_CHARS
_FLAGS: Final = {
    NameFlag.ORDINARY_WORD: "ordinary words",
    NameFlag.NUMBER: "numbers",
    NameFlag.SHORT: "one or two letters",
    NameFlag.INSIDE_ANOTHER: "inside longer names",
    NameFlag.NO_VALUE: "like 'no value'",
    NameFlag.ODD: "HTML, control characters, over-long",
}
_FEW_ROWS: Final = (2, 10, 100)


def print_names(found: NamesFound, out: Path) -> None:
    """Counts, then everything that wants a decision, then where to take it."""
    console = Console(highlight=False)
    _say(console, *_summary(found))
    console.print()
    joined = [name for name in found.names.names if len(name.spellings) > 1]
    rows = ((_short(name.display), f"{name.rows:,}", _spellings(name)) for name in joined)
    _table(console, f"one name in several spellings: {len(joined):,}", ("name", "rows", "spellings"), rows, len(joined))
    _print_proposals(console, found)
    _print_flags(console, found)
    _print_offenders(console, found)
    path = shlex.quote(str(out))
    line = f"wrote {out}; decide there, then set name.registry: {path} in the recipe"
    console.print(Text(line), soft_wrap=True)


def _summary(found: NamesFound) -> Iterable[str]:
    column, names = found.column, found.names.names
    without = column.num_null + found.names.without_name
    spellings = sum(len(name.spellings) for name in names)
    malformed = f", {column.num_malformed:,} malformed" if column.num_malformed else ""
    rows = f"{column.num_rows:,} rows, {without:,} of them without a name{malformed}"
    yield f"{column.source}, column {column.column}: {rows}"
    few = ", ".join(f"{sum(name.rows < least for name in names):,} under {least}" for least in _FEW_ROWS)
    yield f"{len(names):,} names in {spellings:,} spellings; by rows: {few}"


def _print_proposals(console: Console, found: NamesFound) -> None:
    rows = (
        (
            f"{_short(proposal.name.display)} ({proposal.name.rows:,})",
            f"{_short(proposal.other.display)} ({proposal.other.rows:,})",
            why(proposal.likeness),
        )
        for proposal in found.proposals
    )
    title = f"may be one name, or a line of it: {len(found.proposals):,}"
    _table(console, title, ("name (rows)", "the other (rows)", "why"), rows, len(found.proposals))


def _print_flags(console: Console, found: NamesFound) -> None:
    flagged = [(flag, names) for flag, names in found.flags.items() if names]
    rows = (
        (f"{len(names):,}", _FLAGS[flag], ", ".join(_short(name.display) for name in names[:6]))
        for flag, names in flagged
    )
    _table(console, "look twice", ("names", "that are", "the most frequent"), rows, len(flagged))


def _print_offenders(console: Console, found: NamesFound) -> None:
    if not found.num_texts:
        _say(console, "no texts to look for names in: give --captions to see which names are ordinary words")
        return
    rows = (
        (_short(one.name), one.policy, _share(one.found_share), _share(one.expected_share), *_claims(one))
        for one in found.offenders
    )
    title = f"in texts of other names ({found.num_texts:,} looked at, {found.texts_of}): {len(found.offenders):,}"
    headings = ("name", "policy", "found", "its rows", "claimed", "suggested")
    _table(console, title, headings, rows, len(found.offenders))
    for one in found.offenders[:3]:
        console.print(Text(f"  {_short(one.name)}: {one_line(one.examples[0], _EXAMPLE_CHARS)}"))
    console.print()


def _claims(one: Offender) -> tuple[str, str]:
    suggested = f"{one.suggests}: {one.wrong[one.suggests]:,}" if one.suggests is not None else "-"
    return f"{one.wrong[one.policy]:,}", suggested


def _table(
    console: Console, title: str, headings: Sequence[str], rows: Iterable[tuple[str, ...]], num_rows: int
) -> None:
    if not num_rows:
        return
    _say(console, title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in ("rows", "names") else "left")
    for row, _ in zip(rows, range(_TOP), strict=False):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    if num_rows > _TOP:
        console.print(Text(f" and {num_rows - _TOP:,} more\n"))


def _spellings(name: CountedName) -> str:
    spelled = sorted(name.spellings.items(), key=lambda pair: (-pair[1], pair[0]))
    listed = ", ".join(f"{_short(spelling)} {count:,}" for spelling, count in spelled[:4])
    return listed + (f" and {len(spelled) - 4:,} more" if len(spelled) > 4 else "")


def _short(text: str) -> str:
    return one_line(text, _NAME_CHARS)


def _share(value: float) -> str:
    return f"{value:.1%}"


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(Text(one_line(line, None)))
