"""What `init` and `presets` print for a person; texts of strangers are never read as markup or control codes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nameplate.stages.ingest import Preset
    from nameplate.stages.ingest.propose import Proposal, Survey


_MAX_COLUMN = 20


def print_proposal(survey: Survey, proposal: Proposal, recipe: Path) -> None:
    """The columns, the mapping with its reasons, the doubts, and what to do next."""
    console = Console(highlight=False)
    rows = f"{survey.num_rows:,}" if survey.counted_all else f"more than {survey.num_rows:,}"
    looked = f"{survey.num_looked_at:,} looked at"
    console.print(_plain(f"{survey.source.name}: {rows} rows, {looked}"), soft_wrap=True)
    console.print(_columns(survey, console.width))
    if proposal.preset is not None:
        known = proposal.preset.dataset or "DBQ product tables"
        console.print(_plain(f"preset {proposal.preset.name} ({known}): {proposal.preset_why}"))
    console.print(_mapping(proposal))
    for doubt in proposal.doubts:
        _bullet(console, doubt)
    console.print()
    command = f"nameplate fetch {shlex.quote(str(recipe))}"
    console.print(_plain(f"wrote {recipe}; next: {command}"), soft_wrap=True)


def print_presets(presets: Iterable[Preset]) -> None:
    """One line a data set; what its licence asks stands below."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("preset", "data set", "images", "names", "licence"):
        table.add_column(heading, overflow="fold")
    concerns: dict[str, list[str]] = {}
    for preset in presets:
        mark = " !" if preset.warning else ""
        name = preset.column("name") or "-"
        cells = (preset.name, preset.dataset or "any of DBQ", preset.image.value, name, preset.licence + mark)
        table.add_row(*map(_plain, cells))
        if preset.warning:
            concerns.setdefault(preset.warning, []).append(preset.name)
    console = Console(highlight=False)
    console.print(table)
    for warning, names in concerns.items():
        _bullet(console, f"{warning} ({', '.join(names)})")


def _columns(survey: Survey, width: int) -> Table:
    rows = [_column(survey, name) for name in survey.columns]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    left = width - 2
    for place, heading in enumerate(("column", "looks like", "filled", "distinct")):
        longest = max(len(heading), *(len(row[place]) for row in rows))
        needed = min(longest, _MAX_COLUMN)
        left -= needed + 3
        table.add_column(
            heading, width=needed, no_wrap=True, overflow="ellipsis", justify="right" if place > 1 else "left"
        )
    table.add_column("examples", width=max(left, len("examples")), no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def _column(survey: Survey, name: str) -> tuple[str, ...]:
    profile, look = survey.columns[name], survey.findings[name].look.value
    if profile.holds_images:
        return name, look, "", "", ", ".join(survey.images.get(name, ()))
    filled = f"{profile.filled:.0%}" if profile.filled in (0, 1) else f"{min(profile.filled, 0.999):.1%}"
    examples = " | ".join(profile.examples()) or ", ".join(profile.nulls)
    return name, look, filled, f"{profile.distinct:,}", examples


def _mapping(proposal: Proposal) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("meaning", "column", "why"):
        table.add_column(heading, overflow="fold")
    for choice in proposal.choices:
        table.add_row(*map(_plain, (choice.meaning, choice.column, choice.why)))
    return table


def _bullet(console: Console, text: str) -> None:
    line = Table.grid(padding=(0, 1))
    line.add_row(Text("!"), _plain(text))
    console.print(Padding(line, 0))


def _plain(text: str) -> Text:
    return Text(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
