"""Commands around the flow: many runs, new tables, models and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nameplate.cli.captioning import teachers_command
from nameplate.cli.comparing import compare_command
from nameplate.cli.composing import compose_command
from nameplate.cli.naming import names_command
from nameplate.cli.options import AsJson, Overrides, RecipePath, RunDir, app, recipe_app
from nameplate.cli.parting import parts_command
from nameplate.cli.planning import plan_command
from nameplate.cli.powering import power_command
from nameplate.cli.predicting import predict_command
from nameplate.cli.proposing import init_command, presets_command
from nameplate.cli.rescoring import rescore_command
from nameplate.cli.running import DEMO_FOLDER, demo_command, schema_command
from nameplate.cli.sweeping import sweep_command


@app.command()
def sweep(
    sweep: Annotated[
        Path | None, typer.Argument(metavar="SWEEP", help="Recipe and members: one YAML file.", show_default=False)
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only list the members, and what each has learn.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings side by side, each in a process of its own.")] = 1,
    folder: Annotated[Path | None, typer.Option(help="Where the sweep lives; default sweeps/NAME.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Sweep the demo's shop; --folder is then the demo's.")] = False,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Train every member with each; default: as the page says.")
    ] = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Train in many ways on the same data, and compare; exit code 1 if a training failed. The same call continues."""
    code = sweep_command(
        sweep,
        plan=plan,
        jobs=jobs,
        folder=folder,
        demo=demo,
        seeds=seeds,
        overrides=set_ or [],
        as_json=json,
    )
    raise typer.Exit(code)


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
def plan(
    recipe: RecipePath,
    hardware: Annotated[
        Literal["here", "h100", "h200", "a100", "4090"],
        typer.Option(help="This machine, measured; or a device by its data sheet."),
    ] = "here",
    utilisation: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Share of the data sheet's rate that is reached; default 0.4.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Examples an epoch; default: the run's own.")] = None,
    image_size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Of the images, such as 1000x750; default: the run's own.")
    ] = None,
    caption_words: Annotated[
        int | None, typer.Option(min=1, help="Words of a caption; default: the run's own.")
    ] = None,
    presets: Annotated[bool, typer.Option("--presets", help="One row for each preset instead.")] = False,
    run_dir: RunDir = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Say what a training will take, before it runs: memory, FLOPs, tokens, disk, hours."""
    plan_command(
        recipe=recipe,
        run_dir=run_dir,
        overrides=set_ or [],
        hardware=hardware,
        utilisation=utilisation,
        rows=rows,
        image_size=image_size,
        caption_words=caption_words,
        presets=presets,
        as_json=json,
    )


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


@app.command()
def compare(
    models: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Scored runs, or RUN:base, RUN:epoch-05; the first is the measure."),
    ],
    split: Annotated[Literal["test", "validation"], typer.Option(help="Whose rows count.")] = "test",
    prompt: Annotated[str | None, typer.Option(help="Question that counts; default: the runs' headline.")] = None,
    shared_rows: Annotated[
        bool, typer.Option("--shared-rows", help="Where the test sets differ, compare on the rows in common.")
    ] = False,
    judge_again: Annotated[
        bool, typer.Option("--judge-again", help="Judge all answers by the first run's registry.")
    ] = False,
    registry: Annotated[
        Path | None, typer.Option(metavar="FILE_OR_RUN", help="Judge all answers by these names instead.")
    ] = None,
    page: Annotated[Path | None, typer.Option(metavar="OUT.html", help="Write a page with the images, too.")] = None,
    json: AsJson = False,
) -> None:
    """Compare scored models row by row: what was fixed, what was lost, and whether it is more than chance."""
    compare_command(
        models,
        split=split,
        prompt=prompt,
        shared_rows=shared_rows,
        judge_again=judge_again,
        registry=registry,
        page=page,
        as_json=json,
    )


@app.command()
def rescore(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A scored run.")],
    registry: Annotated[
        Path | None,
        typer.Option(metavar="FILE_OR_RUN", help="Names to judge by; default: the run's own, by the present rules."),
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Rows of names that the registry lacks count for nothing.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Judge a run's kept answers by other names: aliases merged, policies changed; no model is asked."""
    rescore_command(run, registry=registry, leave_out=leave_out, as_json=json)


@app.command()
def power(
    images: Annotated[int | None, typer.Option(min=1, metavar="N", help="Say what so many images can show.")] = None,
    effect: Annotated[
        float | None, typer.Option(min=0.1, max=100, metavar="POINTS", help="Say how many images show it.")
    ] = None,
    accuracy: Annotated[float, typer.Option(min=0, max=1, help="Of the first model, as a share.")] = 0.5,
    changed: Annotated[
        float | None, typer.Option(min=0.001, max=1, help="Share of images right in one of two models only.")
    ] = None,
    power: Annotated[float, typer.Option(min=0.1, max=0.999, help="Chance with which it shall show.")] = 0.8,
    json: AsJson = False,
) -> None:
    """Say which difference a test can show, or how many images it takes: before anything is trained."""
    power_command(images=images, effect=effect, accuracy=accuracy, changed=changed, power=power, as_json=json)


@recipe_app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    schema_command()
