"""Results as tables for a person; names and texts of strangers are never read as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nameplate.demo.run import DemoResult
    from nameplate.store.manifest import Manifest
    from nameplate.summary import Proportion

_ROW_STAGES = ("ingest", "fetch", "caption", "clean", "split")


def print_funnel(manifest: Manifest) -> None:
    """Rows in and out of each stage, with reasons."""
    table = Table(title="from table to examples", title_justify="left")
    for heading in ("stage", "read", "kept", "rejected", "s"):
        table.add_column(heading, justify="left" if heading in ("stage", "rejected") else "right")
    for name, record in manifest.stages.items():
        if name in _ROW_STAGES:
            reasons = ", ".join(f"{reason} {count}" for reason, count in record.rejected.items()) or "-"
            cells = (name, f"{record.read:,}", f"{record.kept:,}", reasons, f"{record.seconds:.1f}")
            table.add_row(*(Text(cell) for cell in cells))
    console = Console()
    console.print(table)
    ingest = manifest.stages.get("ingest")
    if ingest is not None and (rate := ingest.details.get("rows_per_second")):
        console.print(f"the table was read at {rate:,} rows a second")


def print_demo(result: DemoResult) -> None:
    """The demo's three rows: untrained, language frozen, LoRA."""
    heading = f"names right, n={result.rows[0].accuracy.n}"
    table = Table("model", heading, "against the row above", title="test images", title_justify="left")
    for row in result.rows:
        table.add_row(Text(row.label), _share(row.accuracy), Text(row.verdict))
    console = Console()
    console.print(table)
    console.print("The captions were written by a simulator that knows the truth; model and scores are real.")
    if result.quick:
        console.print("--quick trains one epoch on a small shop: it shows the way, not the result.")
    for page in result.pages:
        console.print(Text(f"page: {page}"), soft_wrap=True)


def _share(proportion: Proportion) -> str:
    return f"{proportion.value:.1%} ({proportion.low * 100:.1f} to {proportion.high * 100:.1f})"
