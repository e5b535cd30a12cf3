"""What `nameplate fetch` does beside running the stage: look first, and ask again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from nameplate.cli.engines import EngineName, opened_engine
from nameplate.cli.running import explaining, open_pipeline, showing


def check_command(num_rows: int, *, recipe: Path, run_dir: Path | None, overrides: Sequence[str], as_json: bool) -> int:
    """Check the links of a few rows, print what that says, and return the exit code of the verdict."""
    with explaining():
        from nameplate.cli.linktables import print_check
        from nameplate.detours import check_links

        with showing(as_json) as progress:
            found = check_links(open_pipeline(recipe, run_dir, overrides, progress=progress), num_rows)
        if as_json:
            typer.echo(json.dumps(asdict(found)))
        else:
            print_check(found)
        return found.verdict.exit_code


def again_command(
    *,
    recipe: Path,
    run_dir: Path | None,
    overrides: Sequence[str],
    as_json: bool,
    engine: EngineName = EngineName.LOCAL,
    address: str | None = None,
) -> None:
    """Ask again for images that were not there, and print how many came back."""
    with explaining():
        from nameplate.cli.linktables import print_links
        from nameplate.cli.tables import print_funnel
        from nameplate.detours import fetch_again

        with showing(as_json) as progress, opened_engine(engine, address) as chosen:
            pipeline = open_pipeline(recipe, run_dir, overrides, progress=progress, engine=chosen)
            asked = fetch_again(pipeline)
        manifest = pipeline.run_directory.manifest
        if as_json:
            record = manifest.stages["fetch"].model_dump(mode="json")
            typer.echo(json.dumps({"again": asked._asdict() if asked else None, "stages": {"fetch": record}}))
            return
        print_funnel(manifest)
        print_links(manifest)
        if asked is None:
            typer.echo("The fetch was not finished before; now it is, and nothing was asked twice.")
        else:
            typer.echo(
                f"{asked.came_back:,} of {asked.failed_rows:,} rows without an image have one now; "
                f"{asked.links:,} links were asked again, the others have failed for good."
            )
