"""`nameplate predict`: what a model says of images that are no part of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining, showing

if TYPE_CHECKING:
    from nameplate.predict import Predicted, PredictSummary


def predict_command(
    checkpoint: str,
    given: Sequence[str],
    *,
    registry: str | None,
    prompt: str,
    column: str | None,
    out: Path | None,
    batch: int,
    overrides: Sequence[str],
    as_json: bool,
) -> int:
    """Ask, write or print the rows, and return the exit code: 1 where no image could be answered."""
    with explaining():
        from nameplate.predict import Inputs, check_output, find_checkpoint, find_registry

        if out is not None:
            check_output(out)
        asked = find_checkpoint(checkpoint, overrides)
        names = find_registry(registry, asked)
        inputs = Inputs(given, column=column)
        rows: list[Predicted] = []
        with showing(as_json) as progress, _honest_when_interrupted(out):
            from nameplate.predict import predict

            found = predict(
                asked,
                inputs,
                to=out or (rows.extend if as_json else _print_rows),
                prompt=prompt,
                registry=names,
                batch_size=batch,
                progress=progress,
            )
        if as_json:
            own = {"out": str(out)} if out is not None else {"rows": [asdict(row) for row in rows]}
            typer.echo(json.dumps({**found.model_dump(mode="json"), **own}))
        else:
            for line in _lines(found, out):
                typer.echo(line, err=out is None)
        return 0 if found.answered else 1


@contextmanager
def _honest_when_interrupted(out: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if out is not None:
            raise
        typer.echo("nameplate: interrupted; nothing is kept without --out", err=True)
        raise typer.Exit(130) from None


def _print_rows(rows: Sequence[Predicted]) -> None:
    for row in rows:
        typer.echo(f"{row.path}: {_said(row)}")


def _said(row: Predicted) -> str:
    if row.reason:
        return f"[{row.reason}: {row.detail}]"
    verdict = f"{row.name} {row.verdict}, ".lstrip() if row.verdict else ""
    sure = f", {row.name} {row.name_confidence:.2f} of the registry" if row.name_confidence is not None else ""
    cut_off = ", cut off" if row.finish == "length" else ""
    return f"{row.answer} [{verdict}confidence {row.confidence:.2f}{sure}{cut_off}]"


def _lines(found: PredictSummary, out: Path | None) -> Iterator[str]:
    kept = found.answered - found.computed
    known = f", {kept:,} of them known before or the same image again" if kept else ""
    rate = f"; {found.images_per_second:,.1f} images a second" if found.images_per_second is not None else ""
    yield f"{found.checkpoint}: {found.answered:,} of {found.images:,} images answered{known}{rate}"
    if found.reasons:
        yield f"without an answer: {_counted(found.reasons)}"
    if found.verdicts:
        yield f"names ({found.names:,} are known): {_counted(found.verdicts)}"
    if found.cut_off:
        yield f"{found.cut_off:,} answers were cut off: raise score.max_new_tokens with --set for whole ones"
    if found.left_out:
        yield f"{found.left_out:,} files of the folders are no images by their ending, and were left out"
    if out is not None:
        yield f"table: {out}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
