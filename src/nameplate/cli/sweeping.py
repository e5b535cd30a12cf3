"""`nameplate sweep`: many ways to train on the same data, and which of them to take."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import DEMO_FOLDER, explaining, showing

if TYPE_CHECKING:
    from nameplate.progress import Progress


def sweep_command(
    sweep: Path | None,
    *,
    plan: bool,
    jobs: int,
    folder: Path | None,
    demo: bool,
    seeds: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> int:
    """Plan or run a sweep, print it, and return the exit code: 1 where a training failed."""
    if demo == (sweep is not None):
        raise typer.BadParameter("give a SWEEP, or --demo without one")
    with explaining(), showing(as_json) as progress, _opened(sweep, folder, progress, plan=plan) as (page, root):
        from nameplate.sweep.members import plan_sweep

        planned = plan_sweep(page, overrides=overrides, seeds=_numbers(seeds))
        if plan:
            from nameplate.cli.sweep_tables import print_plan, tree_of
            from nameplate.sweep.checks import check_members

            parts = check_members(planned)
            if as_json:
                typer.echo(json.dumps(tree_of(planned, parts)))
            else:
                print_plan(planned, parts)
            return 0
        from nameplate.cli.sweep_tables import print_sweep
        from nameplate.sweep.folder import SweepFolder
        from nameplate.sweep.run import run_sweep

        place = SweepFolder(root)
        command = _command(sweep, folder, jobs=jobs, seeds=seeds, overrides=overrides)
        found = run_sweep(planned, place, jobs=jobs, progress=progress, command=command)
        if as_json:
            typer.echo(json.dumps(found.model_dump(mode="json")))
        else:
            print_sweep(found)
            typer.echo(f"page: {place.page_path}")
        return 1 if found.num_failed else 0


@contextmanager
def _opened(sweep: Path | None, folder: Path | None, progress: Progress, *, plan: bool) -> Iterator[tuple[Path, Path]]:
    """The sweep's page and its folder; of the demo's sweep, with the shop open while it is needed."""
    if sweep is not None:
        yield sweep, folder or Path("sweeps") / sweep.stem
        return
    from nameplate.demo.run import opened_shop

    root = (folder or DEMO_FOLDER).resolve()
    with opened_shop(root, seed=0, progress=progress):
        yield root / "sweep.yaml", root / "sweep"


def _numbers(seeds: str | None) -> list[int] | None:
    if seeds is None:
        return None
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--seeds {seeds}: give whole numbers with commas between them: 0,1") from None


def _command(sweep: Path | None, folder: Path | None, *, jobs: int, seeds: str | None, overrides: Sequence[str]) -> str:
    words = ["nameplate", "sweep", str(sweep) if sweep is not None else "--demo"]
    words += ["--folder", str(folder)] if folder is not None else []
    words += ["--jobs", str(jobs)] if jobs > 1 else []
    words += ["--seeds", seeds] if seeds is not None else []
    for override in overrides:
        words += ["--set", override]
    return shlex.join(words)
