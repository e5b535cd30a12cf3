"""What the commands do: load, run, and say what came out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.engines import EngineName, opened_engine
from nameplate.cli.launches import is_first, speaks_of_failure
from nameplate.errors import NameplateError

if TYPE_CHECKING:
    from nameplate.engine import Engine
    from nameplate.pipeline import Pipeline
    from nameplate.progress import Progress
    from nameplate.records import StageName

DEMO_FOLDER = Path("demo-run")


@contextmanager
def explaining() -> Iterator[None]:
    """Print an expected failure as one paragraph (exit 2), and Ctrl-C as what to do next (exit 130)."""
    try:
        yield
    except NameplateError as error:
        if speaks_of_failure():
            typer.echo(f"nameplate: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        if is_first():
            typer.echo("nameplate: interrupted; the same command continues where this one stopped", err=True)
        raise typer.Exit(130) from None


@contextmanager
def showing(as_json: bool) -> Iterator[Progress]:
    """Bars on a terminal, plain lines elsewhere, silence with --json."""
    from nameplate.cli.bars import ConsoleProgress
    from nameplate.progress import SilentProgress

    if as_json or not is_first():
        yield SilentProgress()
        return
    with ConsoleProgress() as progress:
        yield progress


def open_pipeline(
    recipe: Path,
    run_dir: Path | None,
    overrides: Sequence[str],
    *,
    progress: Progress,
    engine: Engine | None = None,
) -> Pipeline:
    """The pipeline of a recipe file over its run directory."""
    from nameplate.pipeline import Pipeline
    from nameplate.recipe import load_recipe
    from nameplate.store.rundir import RunDirectory

    loaded = load_recipe(recipe, overrides)
    root = run_dir or Path("runs") / recipe.stem
    run = RunDirectory(root, store=Path(loaded.store) if loaded.store is not None else None)
    return Pipeline(loaded, run, progress=progress, engine=engine, command=_command(recipe, run_dir, overrides))


def run_until(
    stage: StageName,
    *,
    recipe: Path,
    run_dir: Path | None,
    overrides: Sequence[str],
    as_json: bool,
    engine: EngineName = EngineName.LOCAL,
    address: str | None = None,
) -> None:
    """Run a recipe up to one stage and print what is known then."""
    with explaining():
        from nameplate.cli.captioning import print_captions
        from nameplate.cli.linktables import print_links
        from nameplate.cli.score_tables import print_scores
        from nameplate.cli.tables import print_funnel

        with showing(as_json) as progress, opened_engine(engine, address) as chosen:
            pipeline = open_pipeline(recipe, run_dir, overrides, progress=progress, engine=chosen)
            pipeline.run(until=stage)
        if not is_first():
            return
        run = pipeline.run_directory
        scored = stage in ("score", "report")
        if as_json:
            stages = {name: record.model_dump(mode="json") for name, record in run.manifest.stages.items()}
            typer.echo(json.dumps(pipeline.summary().model_dump(mode="json") if scored else {"stages": stages}))
            return
        print_funnel(run.manifest)
        if stage == "fetch":
            print_links(run.manifest)
        else:
            print_captions(run.manifest)
        if scored:
            print_scores(pipeline.summary().score)
        if stage == "report":
            typer.echo(f"page: {run.report_path}")


def demo_command(*, folder: Path, seed: int, quick: bool, as_json: bool) -> None:
    """Run the demo and print its table."""
    with explaining():
        from nameplate.cli.tables import print_demo
        from nameplate.demo.run import run_demo

        with showing(as_json) as progress:
            result = run_demo(folder, seed=seed, quick=quick, progress=progress)
        if as_json:
            typer.echo(json.dumps(result.model_dump(mode="json")))
        else:
            print_demo(result)


def schema_command() -> None:
    """Print the recipe's JSON Schema."""
    from nameplate.recipe import Recipe

    typer.echo(json.dumps(Recipe.model_json_schema(), indent=2))


def _command(recipe: Path, run_dir: Path | None, overrides: Sequence[str]) -> str:
    words = ["nameplate", "run", str(recipe)]
    words += ["--run-dir", str(run_dir)] if run_dir is not None else []
    for override in overrides:
        words += ["--set", override]
    return shlex.join(words)
