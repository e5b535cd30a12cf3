"""`nameplate plan`: what a training will take, before it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nameplate.cli.launches import is_alone
from nameplate.cli.running import explaining

if TYPE_CHECKING:
    from nameplate.models.plan.hardware import Hardware, HardwareName
    from nameplate.models.plan.results import Plan
    from nameplate.models.tiling import ImageSize


def plan_command(
    *,
    recipe: Path,
    run_dir: Path | None,
    overrides: Sequence[str],
    hardware: HardwareName,
    utilisation: float | None,
    rows: int | None,
    image_size: str | None,
    caption_words: int | None,
    presets: bool,
    as_json: bool,
) -> None:
    """Print the plan, or one row for each preset. Weights are not read, and nothing is written."""
    size = _size(image_size) if image_size is not None else None
    if utilisation is not None and hardware == "here":
        raise typer.BadParameter(
            "--utilisation goes with a data sheet; here it is measured", param_hint="--utilisation"
        )
    if not is_alone():
        typer.echo("nameplate: a plan is of one device, however many are launched", err=True)
    with explaining():
        from nameplate.models.plan.estimate import plan_presets, plan_training
        from nameplate.models.plan.table import Assumptions
        from nameplate.models.plan.wording import plan_lines
        from nameplate.recipe import load_recipe

        loaded = load_recipe(recipe, overrides)
        root = run_dir or Path("runs") / recipe.stem
        asked: dict[str, Any] = {
            "root": root,
            "hardware": _hardware(hardware, utilisation),
            "assumed": Assumptions(rows, size, caption_words),
        }
        plans = plan_presets(loaded, **asked) if presets else [plan_training(loaded, **asked)]
        if as_json:
            trees = [_tree(plan) for plan in plans]
            typer.echo(json.dumps({"plans": trees} if presets else trees[0]))
        elif presets:
            _print_table(plans)
        else:
            for line in plan_lines(plans[0]):
                typer.echo(line)


def _size(text: str) -> ImageSize:
    from nameplate.models.tiling import ImageSize

    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 0 < int(side) <= 100_000 for side in sides):
        raise typer.BadParameter(f"'{text}' is no size such as 1000x750", param_hint="--image-size")
    return ImageSize(int(sides[0]), int(sides[1]))


def _hardware(name: HardwareName, utilisation: float | None) -> Hardware:
    from nameplate.models.plan.hardware import DATA_SHEETS

    if name != "here":
        return DATA_SHEETS[name].at(utilisation)
    from nameplate.models.plan.probe import measure_here

    return measure_here()


def _tree(plan: Plan) -> dict[str, Any]:
    tree = asdict(plan)
    tree["parts"] = [row.model_dump(mode="json") for row in plan.parts]
    tree["hardware"]["speeds"] = {f"{part}, {way}": speed for (part, way), speed in plan.hardware.speeds.items()}
    tree["memory"] |= {"total": plan.memory.total, "usable": plan.memory.usable, "fits": plan.memory.fits}
    tree["prefixes"] = [asdict(each) | {"pays": each.pays} for each in plan.prefixes]
    tree["workload"] |= {"tokens": plan.workload.tokens}
    return tree | {"seconds": plan.seconds, "flops": plan.flops}


def _print_table(plans: Sequence[Plan]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nameplate.models.plan.wording import TABLE_HEAD, table_lines

    first = plans[0]
    table = Table(title=Text(f"{first.base} on {first.hardware.title}"), title_justify="left", box=box.SIMPLE_HEAD)
    for heading in TABLE_HEAD:
        left = heading in ("policy", "prefix")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row in table_lines(list(plans)):
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        # A file has no width; columns that are cut there cannot be read again.
        console = Console(width=120)
    console.print(table)
    for line in first.said:
        console.print(Text(line), soft_wrap=True)
    for plan in plans:
        for line in (*plan.compiling, *plan.advice):
            console.print(Text(f"{plan.policy}: {line}"), soft_wrap=True)
