"""`nameplate compare`: scored models against the first of them, on the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from nameplate.cli.running import explaining

if TYPE_CHECKING:
    from rich.table import Table

    from nameplate.compare import ComparisonSummary, RowChange

SPOKEN = 3
"""Comparisons whose rows the terminal lists; more than that fill it."""
LISTED = 8
"""Changed rows that the terminal lists of each kind; --json and the page have all."""
CLIPPED = 60


def compare_command(
    models: Sequence[str],
    *,
    split: Literal["test", "validation"],
    prompt: str | None,
    shared_rows: bool,
    judge_again: bool,
    registry: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Compare, write the page where one is wanted, and print tables or one JSON object."""
    with explaining():
        from nameplate.compare import bring_together, check_page, compare_models, find_compared, write_comparison_page

        if page is not None:
            check_page(page)
        compared = find_compared(models)
        aligned = bring_together(
            compared,
            split=split,
            prompt=prompt,
            shared_rows=shared_rows,
            judge_again=judge_again,
            registry=registry,
        )
        found = compare_models(compared, aligned)
        if page is not None:
            write_comparison_page(found, models=compared, aligned=aligned, path=page)
        if as_json:
            typer.echo(json.dumps(found.model_dump(mode="json") | ({"page": str(page)} if page is not None else {})))
            return
        _print(found)
        if page is not None:
            typer.echo(f"page: {page}")


def _print(found: ComparisonSummary) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if found.probe is not None:
        console.print(Text(f"Probe: {found.probe.sentence}"))
        console.print(Text(found.probe.test.sentence, style="bold"))
    console.print(_table(found))
    for each in found.differences:
        console.print(Text(each.sentence))
    if found.leader:
        console.print(Text(found.leader, style="bold"))
    for each in found.differences if len(found.differences) <= SPOKEN else ():
        for word, rows in (("fixed", each.fixed), ("regressed", each.regressed)):
            if rows:
                console.print(Text(f"{each.after}, {word}: {len(rows)}"))
                for row in rows[:LISTED]:
                    console.print(Text(f"  {_line(row)}"), soft_wrap=True)
                if len(rows) > LISTED:
                    console.print(f"  and {len(rows) - LISTED} more (--json or --page has all)")
    for note in found.notes:
        console.print(Text(f"- {note}"))


def _table(found: ComparisonSummary) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from nameplate.statistics import p_text

    title = f"{found.rows:,} {found.split} images, asked '{found.prompt}'; 95 % intervals"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # A model's label is a path or a name that must stay whole; figures may break at their intervals.
    table.add_column("model", overflow="fold", min_width=min(20, max(len(each.label) for each in found.models)))
    for heading in ("verdict", "right", "fixed, lost", "points", "p"):
        table.add_column(heading)
    for place, model in enumerate(found.models):
        each = found.differences[place - 1] if place else None
        cells = [
            model.label,
            each.outcome if each is not None else "",
            f"{model.accuracy.value:.1%} ({100 * model.accuracy.low:.1f}-{100 * model.accuracy.high:.1f})",
        ]
        if each is not None:
            cells += [
                f"{len(each.fixed)}, {len(each.regressed)}",
                f"{100 * each.difference:+.1f}",
                p_text(each.p_holm).removeprefix("p ").removeprefix("= "),
            ]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _line(row: RowChange) -> str:
    return f"{row.row_id} {row.name}: {_clip(row.before)} -> {_clip(row.after)}"


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return f"'{line}'" if len(line) <= CLIPPED else f"'{line[: CLIPPED - 3]}...'"
