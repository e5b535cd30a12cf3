"""`nameplate probe`: what can the eye tell apart already, and what can the model say?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining, open_pipeline, showing

if TYPE_CHECKING:
    from rich.table import Table

    from nameplate.stages.probe import ProbeSummary
    from nameplate.stages.probe.results import ReadingFigures, Scored
    from nameplate.summary import Proportion

VIEWS: Mapping[str, str] = {
    "eye": "vision tower, mean of patches",
    "eye_summary": "vision tower, class token",
    "projector": "projector, mean of tokens",
    "answer": "last token of the question",
}
READERS: Mapping[str, str] = {"nearest": "{:.0f} nearest", "linear": "linear, penalty {:g}"}
BASELINES: Mapping[str, str] = {
    "majority": "always the commonest name",
    "text_only": "model, no image",
    "blank": "model, grey image",
    "text_in_image": "words in the image",
    "says": "model, its answer",
    "closed": "model, choosing among the names",
    "closed_less_prior": "the same, less its bias",
}
LEVELS: Mapping[str, str] = {"eye": "eye", "projector": "projector", "answer": "last token", "says": "says"}


def probe_command(
    *,
    recipe: Path,
    rows: int,
    seed: int,
    test: bool,
    ocr: bool,
    run_dir: Path | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Probe, and print what was found."""
    with explaining():
        from nameplate.detours import probe
        from nameplate.stages.probe import ProbeChoices

        with showing(as_json) as progress:
            pipeline = open_pipeline(recipe, run_dir, overrides, progress=progress)
            found = probe(pipeline, ProbeChoices(rows=rows, test=test, ocr=ocr, seed=seed))
        if as_json:
            typer.echo(json.dumps(found.model_dump(mode="json")))
        else:
            print_probe(found)
            typer.echo(f"figures: {pipeline.run_directory.probe_path}")


def print_probe(found: ProbeSummary) -> None:
    """The tables; the advice and its reasons stand last, where a person looks."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(_readings(found))
    console.print(_slices(found))
    for line in _notes(found):
        console.print(Text(line))
    console.print(Text(f"{found.advice.value}: {found.sentence}", style="bold"))
    for finding in found.findings:
        console.print(Text(f"  {finding.kind}: {finding.sentence} ({finding.reason.value})"))
    if found.recipe:
        console.print(Text(f"  train: {found.recipe}"))


def _readings(found: ProbeSummary) -> Table:
    from rich.table import Table

    title = f"{found.counts.tried:,} {found.read} rows, {found.evidence.names:,} names (95 % interval)"
    table = Table("names by", "", "first", "among five", "mean over names", title=title, title_justify="left")
    for reading in found.readings:
        style = "bold" if reading in found.levels.values() else None
        table.add_row(VIEWS[reading.view], _reader(reading), *_scores(reading.scored), style=style)
    table.add_section()
    for baseline in found.baselines:
        said = f'"{baseline.answer[:40]}"' if baseline.answer is not None else ""
        table.add_row(BASELINES[baseline.baseline], said, *_scores(baseline.scored))
    return table


def _slices(found: ProbeSummary) -> Table:
    from rich.table import Table

    levels = list(found.evidence.levels)
    table = Table("rows", "", *(LEVELS[level] for level in levels), title="right, by kind of row")
    table.title_justify = "left"
    for part in found.slices:
        label = f"{part.kind}: {part.label}"
        table.add_row(
            label, f"{part.rows:,} rows, {part.names:,} names", *(_share(part.levels[each]) for each in levels)
        )
    return table


def _notes(found: ProbeSummary) -> Iterator[str]:
    counts = found.counts
    untouched = "of test only the words in images were read" if _ocr(found) else "test was not touched"
    yield (
        f"fitted to {counts.train:,} of {counts.train_total:,} training rows; read: {counts.tried:,} of "
        f"{counts.tried_total:,} rows of {found.read}, {counts.groups:,} products"
        + ("" if found.read == "test" else f"; {untouched}")
    )
    if counts.left_out:
        yield f"left out, with under two training images: {', '.join(counts.left_out[:10])}" + (
            f" and {len(counts.left_out) - 10:,} more" if len(counts.left_out) > 10 else ""
        )
    top = found.ceiling
    yield (
        f"ceiling: {_share(top.scored.top1)} by {VIEWS[top.view]}, {_reader(top)}; a lower bound of what can be seen"
    )


def _ocr(found: ProbeSummary) -> bool:
    return any(each.baseline == "text_in_image" for each in found.baselines)


def _reader(reading: ReadingFigures) -> str:
    return READERS[reading.reader].format(reading.setting)


def _scores(scored: Scored) -> tuple[str, str, str]:
    macro = scored.macro
    mean = f"{100 * macro.value:.0f} % ({100 * macro.low:.0f} to {100 * macro.high:.0f})"
    return _share(scored.top1), _share(scored.top5) if scored.top5 is not None else "", mean


def _share(share: Proportion) -> str:
    return f"{share.count}/{share.n} {100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"
