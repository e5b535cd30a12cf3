"""The flow: `run`, and each stage as a command of its own, in order."""

from __future__ import annotations

from typing import Annotated

import typer

from nameplate.cli.auditing import audit_command
from nameplate.cli.calibrate import calibrate_command
from nameplate.cli.captioning import estimate_command
from nameplate.cli.engines import EngineName, check_engine
from nameplate.cli.fetching import again_command, check_command
from nameplate.cli.leaking import leaks_command
from nameplate.cli.options import Address, AsJson, EngineOption, Overrides, RecipePath, RunDir, app
from nameplate.cli.probing import probe_command
from nameplate.cli.running import run_until


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
def probe(
    recipe: RecipePath,
    rows: Annotated[int, typer.Option(min=1, help="Most training images to learn from.")] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed: other rows and folds.")] = 0,
    test: Annotated[
        bool, typer.Option("--test", help="Read test instead of validation; it is then no longer unseen.")
    ] = False,
    ocr: Annotated[
        bool, typer.Option("--ocr", help="Look for words in the images, too; wants nameplate[ocr].")
    ] = False,
    run_dir: RunDir = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Say what the untrained base can tell apart and what it says: which part of it is worth training."""
    probe_command(
        recipe=recipe,
        rows=rows,
        seed=seed,
        test=test,
        ocr=ocr,
        run_dir=run_dir,
        overrides=set_ or [],
        as_json=json,
    )


@app.command()
def leaks(
    recipe: RecipePath,
    bits: Annotated[
        int, typer.Option(min=0, max=8, help="Image hashes that differ in so many of 64 bits are looked at.")
    ] = 6,
    run_dir: RunDir = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Say which validation and test rows are known from training, and what that is worth; exit code 1 if any is."""
    code = leaks_command(recipe=recipe, bits=bits, run_dir=run_dir, overrides=set_ or [], as_json=json)
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
