"""The application itself, and the options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nameplate.cli.engines import EngineName

app = typer.Typer(
    name="nameplate",
    help="Turn a product table into a vision-language model that names what it sees, and know whether it learned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs a third of the start-up time
)
recipe_app = typer.Typer(help="Look at recipes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(recipe_app, name="recipe")

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The experiment: one YAML file.")]
RunDir = Annotated[
    Path | None, typer.Option("--run-dir", help="Where the run lives; default runs/NAME, by the recipe's name.")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.field=value; may be repeated.")]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="Where fetch, caption and clean run: in this process, or on Ray.")
]
Address = Annotated[
    str | None, typer.Option("--address", help="Ray cluster to join: HOST:PORT, ray://HOST:PORT or auto.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables and bars.")]
