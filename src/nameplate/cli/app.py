"""All commands of `nameplate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from nameplate.cli.auditing import audit_command
from nameplate.cli.calibrate import calibrate_command
from nameplate.cli.captioning import estimate_command, teachers_command
from nameplate.cli.composing import compose_command
from nameplate.cli.engines import EngineName, check_engine
from nameplate.cli.fetching import again_command, check_command
from nameplate.cli.naming import names_command
from nameplate.cli.parting import parts_command
from nameplate.cli.predicting import predict_command
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
    estimate: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only ask about N rows, and say what all will cost.")
    ] = None,
    run_dir: RunDir = None,
    set_: Overrides = None,
    engine: EngineOption = EngineName.LOCAL,
    address: Address = None,
    json: AsJson = False,
) -> None:
    """Ask the teacher for a caption of every image; no answer is paid for twice."""
    check_engine(engine, address)
    if estimate is not None:
        if engine is EngineName.RAY:
            raise typer.BadParameter("--estimate asks from this process: leave --engine out")
        estimate_command(estimate, recipe=recipe, run_dir=run_dir, overrides=set_ or [], as_json=json)
        return
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
def audit(
    recipe: RecipePath,
    rows: Annotated[int, typer.Option(min=1, help="Captions to look at.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed: other rows.")] = 0,
    judge: Annotated[bool, typer.Option("--judge", help="Let a model at the teacher's server compare, too.")] = False,
    judge_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Which model judges; default: the teacher's own.")
    ] = None,
    run_dir: RunDir = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Say whether the captions hold anything that the base does not say by itself; exit code 1 if not, or not shown."""
    code = audit_command(
        recipe=recipe,
        rows=rows,
        seed=seed,
        judge=judge,
        judge_model=judge_model,
        run_dir=run_dir,
        overrides=set_ or [],
        as_json=json,
    )
    raise typer.Exit(code)


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
def presets(
    teachers: Annotated[bool, typer.Option("--teachers", help="List the teachers that are known instead.")] = False,
    json: AsJson = False,
) -> None:
    """List the data sets whose layout is known, with their licences; or the teachers."""
    if teachers:
        teachers_command(as_json=json)
    else:
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


@app.command()
def parts(recipe: RecipePath, set_: Overrides = None, json: AsJson = False) -> None:
    """Say what the model is made of, and what of it the recipe would train and how fast."""
    parts_command(recipe=recipe, overrides=set_ or [], as_json=json)


@app.command()
def compose(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the new model: not there yet, or empty.")],
    vision: Annotated[str, typer.Option(metavar="MODEL", help="An InternVL, or its vision tower: folder or Hub id.")],
    language: Annotated[str, typer.Option(metavar="MODEL", help="A Qwen2, Qwen3 or Llama chat model, likewise.")],
    layout: Annotated[
        Literal["native", "original"], typer.Option(help="As transformers writes it, or as OpenGVLab does.")
    ] = "native",
    seed: Annotated[int, typer.Option(help="Of the new projector: same seed, same model.")] = 0,
    json: AsJson = False,
) -> None:
    """Put a new model together: an InternViT, a fresh projector and a language model."""
    compose_command(vision=vision, language=language, out=out, layout=layout, seed=seed, as_json=json)


@app.command()
def predict(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A run, RUN:epoch-05, a model's folder, a Hub id, or starter.")
    ],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Images, folders of them, or tables.")],
    registry: Annotated[
        str | None, typer.Option(metavar="RUN_OR_FILE", help="Names to look for in answers; default: the run's.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="short, detail or name, or a question of your own.")] = "detail",
    column: Annotated[str | None, typer.Option(help="Image column of tables; default: the one that looks so.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write .csv, .jsonl or .parquet; a second run continues.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images per generation batch.")] = 16,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Ask a model about any images: an answer, its name and its confidence for each."""
    code = predict_command(
        checkpoint,
        inputs,
        registry=registry,
        prompt=prompt,
        column=column,
        out=out,
        batch=batch,
        overrides=set_ or [],
        as_json=json,
    )
    raise typer.Exit(code)


@recipe_app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    schema_command()


def main() -> None:
    """Entry point of the `nameplate` command."""
    # torch's idle threads spin by default; on a machine that does anything else that costs more than it saves.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
