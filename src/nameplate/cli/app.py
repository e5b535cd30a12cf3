"""All commands of `nameplate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nameplate.cli.running import DEMO_FOLDER, demo_command, run_until, schema_command

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
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables and bars.")]


@app.command()
def run(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Run a recipe from table to report; do only what is missing or stale."""
    run_until("report", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def ingest(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Read the product table into rows of one shape."""
    run_until("ingest", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def fetch(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Fetch every image once, and say of each link how it ended."""
    run_until("fetch", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def caption(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Ask the teacher for a caption of every image; no answer is paid for twice."""
    run_until("caption", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def clean(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Judge and mend the captions."""
    run_until("clean", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def split(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Divide the examples, product by product."""
    run_until("split", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def train(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Train the model under the recipe's policies."""
    run_until("train", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def score(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Ask the base and every checkpoint, and judge their answers."""
    run_until("score", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def report(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Write the page."""
    run_until("report", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's shop and runs live.")] = DEMO_FOLDER,
    seed: Annotated[int, typer.Option(help="Another seed: another shop, another split.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Small shop, one epoch: the way, not the result.")] = False,
    json: AsJson = False,
) -> None:
    """Show the whole idea with an embedded shop, a practice teacher and a starter model."""
    demo_command(folder=folder, seed=seed, quick=quick, as_json=json)


@recipe_app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    schema_command()


def main() -> None:
    """Entry point of the `nameplate` command."""
    # torch's idle threads spin by default; on a machine that does anything else that costs more than it saves.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
