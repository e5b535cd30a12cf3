"""`nameplate leaks`: is anything in validation or test known from training?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from nameplate.cli.running import explaining, open_pipeline, showing

if TYPE_CHECKING:
    from rich.table import Table

    from nameplate.stages.leaks import LeakSummary
    from nameplate.stages.leaks.results import Example
    from nameplate.summary import Proportion

LISTED: Final = 8
"""Pairs that the terminal lists; pairs.parquet has all."""
CLIPPED: Final = 60


def leaks_command(*, recipe: Path, bits: int, run_dir: Path | None, overrides: Sequence[str], as_json: bool) -> int:
    """Look for leaks, print what was found, and return 1 where there is one, else 0."""
    with explaining():
        from nameplate.detours import leaks
        from nameplate.stages.leaks import LeakChoices

        with showing(as_json) as progress:
            pipeline = open_pipeline(recipe, run_dir, overrides, progress=progress)
            found = leaks(pipeline, LeakChoices(bits=bits))
        if as_json:
            typer.echo(json.dumps(found.model_dump(mode="json")))
        else:
            _print(found)
            path = pipeline.run_directory.leaks_path
            typer.echo(f"figures: {path}\npairs: {path.with_name('pairs.parquet')}")
        return found.exit_code


def _print(found: LeakSummary) -> None:
    """The table, examples, what leaks did to the scores; the finding stands last, where a person looks."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if found.kinds:
        console.print(_table(found))
    for example in found.examples[:LISTED]:
        for line in _lines(example):
            console.print(Text(line), soft_wrap=True)
    for line in _notes(found):
        console.print(Text(line))
    console.print(Text(found.sentence, style="bold"))


def _table(found: LeakSummary) -> Table:
    from rich.table import Table

    from nameplate.stages.leaks.wording import LABELS

    title = f"what held-out rows share with {found.train:,} training rows"
    table = Table("", "", *found.leaked, title=title, title_justify="left")
    for each in found.kinds:
        table.add_row(LABELS[each.kind], each.level, *(f"{count:,}" for count in each.rows.values()))
    table.add_section()
    table.add_row("rows with a leak", "", *map(_share, found.leaked.values()))
    table.add_row("rows under suspicion only", "", *map(_share, found.suspected.values()))
    return table


def _lines(example: Example) -> Iterator[str]:
    from nameplate.stages.leaks.wording import LABELS, how_far

    ours, theirs = (f"{name} '{_clip(title)}'" for name, title in zip(example.names, example.titles, strict=True))
    more = f" and {example.matches - 1:,} more" if example.matches > 1 else ""
    far = how_far(example.kind, example.distance, example.difference)
    yield f"{example.level}: {LABELS[example.kind]}{far and f' ({far})'}: {example.split} {example.row_id} {ours}"
    yield f"  train {example.train_row} {theirs}{more}"


def _notes(found: LeakSummary) -> Iterator[str]:
    for note in found.notes:
        yield f"- {note}"
    if found.scored is not None:
        yield from found.scored.sentences


def _share(share: Proportion) -> str:
    return f"{share.count:,} of {share.n:,}"


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CLIPPED else f"{line[: CLIPPED - 3]}..."
