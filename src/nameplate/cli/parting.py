"""`nameplate parts`: what a model is made of, and what of it a recipe would train."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining

if TYPE_CHECKING:
    from nameplate.summary import ComponentRow


def parts_command(*, recipe: Path, overrides: Sequence[str], as_json: bool) -> None:
    """Print the table of parts under the recipe's policies. Weights are not read, and nothing is written."""
    with explaining():
        from nameplate.models.blueprint import planned_parts
        from nameplate.recipe import load_recipe

        loaded = load_recipe(recipe, overrides)
        rows = planned_parts(loaded.model.base, loaded.train)
        if as_json:
            typer.echo(json.dumps({"parts": [row.model_dump(mode="json") for row in rows]}))
            return
        memory = loaded.train.memory
        _print_parts(rows, title=loaded.model.base)
        if memory.quantise is not None:
            typer.echo(f"The layers of the language model will be held as {memory.quantise}.")
        if memory.checkpointing:
            typer.echo("Layers that gradients pass through will be computed again in the backward pass.")


def _print_parts(rows: Sequence[ComponentRow], *, title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{title} (parameters in millions)"), title_justify="left", box=box.SIMPLE_HEAD)
    numbers = ("all", "learn", "layers", "rank")
    for heading in ("part", "mode", "all", "learn", "layers", "format", "rate", "rank"):
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=True)
    for row in rows:
        layers, rate, rank = str(row.layers or "-"), f"{row.lr:.2g}" if row.lr else "-", str(row.rank or "-")
        table.add_row(
            row.component, row.mode, _millions(row.parameters), _millions(row.trainable), layers, row.dtype, rate, rank
        )
    total, learning = sum(row.parameters for row in rows), sum(row.trainable for row in rows)
    table.add_row("together", "", _millions(total), _millions(learning))
    console = Console()
    console.print(table)
    for row in rows:
        for remark in _remarks(row):
            console.print(Text(f"{row.component}: {remark}"), soft_wrap=True)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f}"


def _remarks(row: ComponentRow) -> Iterator[str]:
    if row.lr is not None and row.lowest_lr is not None and row.lowest_lr < row.lr:
        yield f"the rate falls from layer to layer, to {row.lowest_lr:.2g}"
    if row.ends:
        yield row.ends
    if row.idle:
        yield f"{row.idle:,} parameters take no part in an answer, and never learn"
