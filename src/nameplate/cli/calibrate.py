"""`nameplate clean --calibrate`: what each rule does on the captions that are there, and what its threshold costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining, showing

if TYPE_CHECKING:
    from nameplate.stages.clean.calibrate import Calibration, Example, Move, RepairReport, RuleReport
    from nameplate.text.places import Place

WIDTH = 80
_INDENT = 6
_BEFORE = 18


def calibrate_command(*, recipe: Path, run_dir: Path | None, overrides: Sequence[str], as_json: bool) -> None:
    """Look at the captions of a run with the recipe's thresholds; nothing is written."""
    with explaining():
        found = _look(recipe, run_dir, overrides, as_json=as_json)
        if as_json:
            typer.echo(json.dumps(asdict(found)))
            return
        for line in report_lines(found):
            typer.echo(line)


def report_lines(found: Calibration) -> Iterator[str]:
    """The report, in lines of at most 80 columns."""
    low, middle, high = found.words
    kept = found.kept.count
    yield f"{found.rows:,} captions; with these thresholds {kept:,} are kept, {_share(kept, found.rows)}"
    yield f"words of a kept caption: {middle} in the middle, 1 % under {low}, 1 % over {high}"
    yield ""
    yield f"{'rule':<22}{'flags':>8}  {'of all (95 %)':<24}{'nothing else does':>20}"
    silent: list[str] = []
    for rule in found.rules:
        if rule.flagged or any(move.flagged or move.freed for move in rule.moves):
            yield from _rule_lines(rule, found.rows)
        else:
            silent.append(rule.reason.value + (f" ({rule.setting} {rule.limit:g})" if rule.limit is not None else ""))
    yield from _wrapped("flag nothing, now and one step away: ", silent)
    yield ""
    yield f"{'repair':<26}{'mends':>8}  of all (95 %)"
    for repair in found.repairs:
        if repair.mended:
            yield from _repair_lines(repair, found.rows)
    yield from _wrapped("mend nothing: ", [repair.repair.value for repair in found.repairs if not repair.mended])


def excerpt(text: str, place: Place | None = None, *, width: int = WIDTH - _INDENT) -> str:
    """A piece of a stranger's text for one line, with >> and << around a place; what cannot be printed is a dot."""
    from rich.cells import cell_len, set_cell_size

    start, end = place if place is not None else (0, 0)
    first = max(0, start - _BEFORE)
    lead = ("..." if first else "") + _printable(text[first:start])
    marked = f">>{_printable(text[start:end])}<<" if end > start else ""
    line = lead + marked + _printable(text[end:])
    if cell_len(line) <= width:
        return line
    if marked and cell_len(lead + marked) > width:
        return set_cell_size(lead + marked, width - 5).rstrip() + "...<<"
    return set_cell_size(line, width - 3).rstrip() + "..."


def _look(recipe: Path, run_dir: Path | None, overrides: Sequence[str], *, as_json: bool) -> Calibration:
    from nameplate.errors import InputError
    from nameplate.names import Registry
    from nameplate.progress import bar
    from nameplate.recipe import load_recipe
    from nameplate.stages.clean.calibrate import calibrate
    from nameplate.store.tables import StageTables
    from nameplate.teacher.templates import template_of

    loaded = load_recipe(recipe, overrides)
    root = run_dir or Path("runs") / recipe.stem
    tables, registry = StageTables(root / "caption", "caption"), root / "ingest" / "registry.json"
    if tables.num_kept() == 0 or not registry.exists():
        fix = f"run 'nameplate caption {recipe}' first, or give the run with --run-dir"
        raise InputError(str(root), found="there are no captions here to look at", fix=fix)
    prompt = template_of(loaded).wording if loaded.caption.source == "teacher" else ""
    with showing(as_json) as progress, bar(progress, "calibrate", tables.num_kept()) as advance:
        return calibrate(
            tables,
            section=loaded.clean,
            registry=Registry.from_json(registry.read_text(encoding="utf-8")),
            prompt=prompt,
            advance=advance,
        )


def _rule_lines(rule: RuleReport, rows: int) -> Iterator[str]:
    yield f"{rule.reason.value:<22}{rule.flagged:>8,}  {_share(rule.flagged, rows):<24}{rule.alone:>20,}"
    yield from _example_lines(rule.examples)
    for move in rule.moves:
        if move.flagged or move.freed:
            yield f"   clean.{rule.setting} {rule.limit:g} -> {move.limit:g}: {_effect(move)}"
            yield from _example_lines(move.examples)


def _effect(move: Move) -> str:
    parts = [f"{move.flagged:,} more flagged"] if move.flagged else []
    parts += [f"{move.freed:,} freed"] if move.freed else []
    fate = "go" if move.flagged else "stay"
    return f"{', '.join(parts)}; {move.turned:,} would {fate}"


def _example_lines(examples: Sequence[Example]) -> Iterator[str]:
    for example in examples:
        yield " " * _INDENT + excerpt(example.text, example.place)


def _repair_lines(repair: RepairReport, rows: int) -> Iterator[str]:
    yield f"{repair.repair.value:<26}{repair.mended:>8,}  {_share(repair.mended, rows)}"
    for example in repair.examples:
        yield " " * _INDENT + excerpt(example.before, width=WIDTH - _INDENT)
        yield " " * (_INDENT - 3) + "-> " + excerpt(example.after, width=WIDTH - _INDENT)


def _share(count: int, rows: int) -> str:
    from nameplate.statistics import wilson

    share = wilson(count, rows)
    return f"{share.value:.1%} ({share.low * 100:.1f} to {share.high * 100:.1f})"


def _wrapped(heading: str, words: Sequence[str]) -> list[str]:
    import textwrap

    return textwrap.wrap(heading + ", ".join(words), WIDTH, subsequent_indent="   ") if words else []


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\u00b7" for char in text)
