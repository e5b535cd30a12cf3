"""All commands of `nameplate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nameplate.cli.calibrate import calibrate_command
from nameplate.cli.engines import EngineName, check_engine
from nameplate.cli.fetching import again_command, check_command
from nameplate.cli.naming import names_command
from nameplate.cli.proposing import init_command, presets_command
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
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="Where fetch, caption and clean run: in this process, or on Ray.")
]
Address = Annotated[
    str | None, typer.Option("--address", help="Ray cluster to join: HOST:PORT, ray://HOST:PORT or auto.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables and bars.")]


@app.command()
def run(
    recipe: RecipePath,
    run_dir: RunDir = None,
    set_: Overrides = None,
    engine: EngineOption = EngineName.LOCAL,
    address: Address = None,
    json: AsJson = False,
) -> None:
    """Run a recipe from table to report; do only what is missing or stale."""
    check_engine(engine, address)
    run_until(
        "report",
        recipe=recipe,
        run_dir=run_dir,
        overrides=set_ or [],
        as_json=json,
        engine=engine,
        address=address,
    )


@app.command()
def ingest(recipe: RecipePath, run_dir: RunDir = None, set_: Overrides = None, json: AsJson = False) -> None:
    """Read the product table into rows of one shape."""
    run_until("ingest", recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)


@app.command()
def fetch(
    recipe: RecipePath,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only check N rows, in under a minute.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask again for images that were not there.")] = False,
    run_dir: RunDir = None,
    set_: Overrides = None,
    engine: EngineOption = EngineName.LOCAL,
    address: Address = None,
    json: AsJson = False,
) -> None:
    """Fetch every image once, and say of each link how it ended."""
    if sample is not None and again:
        raise typer.BadParameter("--sample looks before a fetch and --again after it: give one of them")
    check_engine(engine, address)
    if sample is not None and engine is EngineName.RAY:
        raise typer.BadParameter("--sample asks from this process: leave --engine out")
    if sample is not None:
        raise typer.Exit(check_command(sample, recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json))
    if again:
        again_command(
            recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json, engine=engine, address=address
        )
    else:
        run_until(
            "fetch",
            recipe=recipe,
            run_dir=run_dir,
            overrides=set_ or [],
            as_json=json,
            engine=engine,
            address=address,
        )


@app.command()
def caption(
    recipe: RecipePath,
    run_dir: RunDir = None,
    set_: Overrides = None,
    engine: EngineOption = EngineName.LOCAL,
    address: Address = None,
    json: AsJson = False,
) -> None:
    """Ask the teacher for a caption of every image; no answer is paid for twice."""
    check_engine(engine, address)
    run_until(
        "caption",
        recipe=recipe,
        run_dir=run_dir,
        overrides=set_ or [],
        as_json=json,
        engine=engine,
        address=address,
    )


@app.command()
def clean(
    recipe: RecipePath,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Only show what each rule does on these captions, and at what cost.")
    ] = False,
    run_dir: RunDir = None,
    set_: Overrides = None,
    engine: EngineOption = EngineName.LOCAL,
    address: Address = None,
    json: AsJson = False,
) -> None:
    """Judge and mend the captions."""
    check_engine(engine, address)
    if calibrate:
        calibrate_command(recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)
        return
    run_until(
        "clean",
        recipe=recipe,
        run_dir=run_dir,
        overrides=set_ or [],
        as_json=json,
        engine=engine,
        address=address,
    )


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


@app.command()
def init(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A file, a folder of images, or hf://datasets/...")],
    out: Annotated[Path, typer.Option(help="Where the recipe is written.")] = Path("recipe.yaml"),
    preset: Annotated[str | None, typer.Option(help="The table is this known data set; see presets.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a recipe that is there.")] = False,
    json: AsJson = False,
) -> None:
    """Look at a table, say what its columns look like, and write a recipe for it."""
    init_command(table, out=out, preset=preset, force=force, as_json=json)


@app.command()
def presets(json: AsJson = False) -> None:
    """List the data sets whose layout is known, with their licences."""
    presets_command(as_json=json)


@app.command()
def names(
    table: Annotated[str, typer.Argument(metavar="TABLE_OR_RECIPE", help="A table as for init, or a recipe.")],
    column: Annotated[str | None, typer.Option(help="Column with the names; default: the one that looks so.")] = None,
    captions: Annotated[
        str | None, typer.Option(help="Captions to look for names in: a table, or a run; default: the table's texts.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the registry file is written.")] = Path("names.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json: AsJson = False,
) -> None:
    """Look at the names of a column, say which may be one, and write a registry to decide in."""
    names_command(table, column=column, captions=captions, out=out, force=force, as_json=json)


@recipe_app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    schema_command()


def main() -> None:
    """Entry point of the `nameplate` command."""
    # torch's idle threads spin by default; on a machine that does anything else that costs more than it saves.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
