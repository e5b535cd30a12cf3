"""`nameplate compose`: a new model out of an eye and a language model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from nameplate.cli.running import explaining, showing

if TYPE_CHECKING:
    from nameplate.models.compose import Composed


def compose_command(
    *, vision: str, language: str, out: Path, layout: Literal["native", "original"], seed: int, as_json: bool
) -> None:
    """Write the new model's folder and say what is in it."""
    with explaining():
        from nameplate.models.compose import compose

        with showing(as_json) as progress:
            composed = compose(vision, language, out, layout=layout, seed=seed, progress=progress)
        if as_json:
            typer.echo(json.dumps(composed.model_dump(mode="json")))
        else:
            _print_composed(composed, out=out)


def _print_composed(composed: Composed, *, out: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{out} ({composed.layout} layout, {composed.stored_as})"), box=box.SIMPLE_HEAD)
    for heading in ("part", "from", "type", "million", "stored as", "licence"):
        table.add_column(heading, justify="right" if heading == "million" else "left")
    for name, part in (("vision", composed.vision), ("language", composed.language)):
        size = f"{part.parameters / 1e6:,.2f}"
        cells = (name, part.source, part.model_type, size, part.stored_as, part.licence)
        table.add_row(*(Text(cell) for cell in cells))
    table.add_row(
        "projector", "fresh", f"seed {composed.projector_seed}", f"{composed.projector_parameters / 1e6:,.2f}"
    )
    console = Console()
    console.print(table)
    for line in _remarks(composed):
        console.print(Text(line), soft_wrap=True)


def _remarks(composed: Composed) -> list[str]:
    added = composed.added_tokens
    numbers = f", numbers {min(added.values())} to {max(added.values())}" if added else ""
    grown = composed.rows - composed.rows_before
    rows = f"{grown} more rows" if grown else "no more rows: there were spare ones"
    return [
        f"image tokens: {len(added)} added{numbers}; embeddings of {composed.rows:,} rows ({rows}); "
        f"head and embeddings are {'one matrix' if composed.tied else 'two matrices'}",
        f"projector: its outputs had {composed.feature_rms_as_drawn / composed.feature_rms:.1f} times the size of the "
        f"embeddings as drawn, and now have theirs (root mean square {composed.feature_rms:.3g})",
        "it cannot see yet: align the projector first (docs/compose.md)",
    ]
