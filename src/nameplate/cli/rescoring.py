"""`nameplate rescore`: the kept answers of a run, judged by other names; no model is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining

if TYPE_CHECKING:
    from rich.table import Table

    from nameplate.stages.score.rescored import Rescored, RescoredModel
    from nameplate.summary import Proportion

CLIPPED = 60
LISTED = 8
"""Kinds of change, and merged names, that the terminal lists; --json has all."""


def rescore_command(run: Path, *, registry: Path | None, leave_out: bool, as_json: bool) -> None:
    """Judge, write beside what is there, and print tables or one JSON object."""
    with explaining():
        from nameplate.stages.score.rejudging import own_registry, read_registry
        from nameplate.stages.score.rescoring import open_scored, rescore

        directory = open_scored(run)
        own = own_registry(directory)
        names = read_registry(registry, own=own) if registry is not None else own
        with directory.locked():
            found = rescore(directory, names, own=own, leave_out=leave_out)
        if as_json:
            typer.echo(json.dumps(found.model_dump(mode="json")))
        else:
            print_rescored(found)


def print_rescored(found: Rescored) -> None:
    """The table of old and new figures, what changed with examples, and what to know."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(_table(found))
    for line in _lines(found):
        console.print(Text(line), soft_wrap=line.startswith("  "))


def _table(found: Rescored) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"{found.answers:,} kept answers judged again ({found.distinct:,} different ones); 95 % intervals"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # A model's label must stay whole; figures may break at their intervals.
    table.add_column("model", overflow="fold", min_width=min(20, max(len(each.checkpoint) for each in found.models)))
    for heading in ("asked", "answers", "right before", "right now", "turned"):
        table.add_column(heading)
    for model in found.models:
        chosen = model.checkpoint == found.selected
        table.add_row(*(Text(cell, style="bold" if chosen else "") for cell in _cells(model)))
    return table


def _cells(model: RescoredModel) -> tuple[str, ...]:
    before, after = model.before.accuracy, model.after.accuracy
    return (
        model.checkpoint,
        f"{model.split}, {model.prompt}",
        f"{after.n:,}" if after.n == before.n else f"{after.n:,} of {before.n:,}",
        _share(before),
        _share(after),
        f"+{model.became_right:,} -{model.became_wrong:,}",
    )


def _share(share: Proportion) -> str:
    if not share.n:
        return "no answers"
    return f"{share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _lines(found: Rescored) -> Iterator[str]:
    if not found.changes:
        yield "No answer is judged otherwise."
    for change in found.changes[:LISTED]:
        yield f"{change.before} -> {change.after}: {change.answers:,} answers"
        for each in change.examples:
            yield f"  {each.checkpoint} {each.row_id} {each.name}: {_clip(each.answer)}"
    if len(found.changes) > LISTED:
        yield f"and {len(found.changes) - LISTED} more kinds of change (--json has all)"
    if found.merged:
        pairs = [f"{old} is {new}" for old, new in list(found.merged.items())[:LISTED]]
        yield f"merged: {', '.join(pairs)}" + (", ..." if len(found.merged) > LISTED else "")
    if found.outside:
        yield f"left out, not in the registry: {sum(found.outside.values()):,} answers to {', '.join(found.outside)}"
    if found.selected != found.selected_before:
        yield f"chosen now: {found.selected}, not {found.selected_before}. {found.choice}"
    else:
        yield f"chosen as before: {found.selected}. {found.choice}"
    for note in found.notes:
        yield f"- {note}"
    yield f"answers: {found.table}; the run's own scores and page stay as they are"


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return f"'{line}'" if len(line) <= CLIPPED else f"'{line[: CLIPPED - 3]}...'"
