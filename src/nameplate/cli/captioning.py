"""What `nameplate caption --estimate` and `nameplate presets --teachers` print, and how a caption run went."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining, open_pipeline, showing

if TYPE_CHECKING:
    from nameplate.stages.caption.estimate import CaptionEstimate, Mean
    from nameplate.store.manifest import Manifest
    from nameplate.summary import CaptionSummary, CleanSummary


def estimate_command(
    num_rows: int, *, recipe: Path, run_dir: Path | None, overrides: Sequence[str], as_json: bool
) -> None:
    """Ask about a few rows and print what the table will cost; their answers are kept and not paid twice."""
    with explaining():
        from nameplate.detours import estimate_captions

        with showing(as_json) as progress:
            found = estimate_captions(open_pipeline(recipe, run_dir, overrides, progress=progress), num_rows)
        if as_json:
            tree = asdict(found) | {"answers_per_hour": found.answers_per_hour, "tokens": asdict(found.tokens)}
            typer.echo(json.dumps(_finite(tree)))
            return
        for line in estimate_lines(found):
            typer.echo(line)


def estimate_lines(found: CaptionEstimate) -> Iterator[str]:
    """The estimate, in lines of at most 80 columns."""
    bad = found.abnormal
    yield f"{found.sampled} of {found.rows:,} rows asked ({_printable(found.model)})"
    if found.unanswered:
        yield f"{found.unanswered} got no answer at all and are left out below"
    yield f"{'':<24}{'a row':>12}{'95 % interval':>22}{'all rows':>16}"
    yield _row("tokens of questions", found.tokens_in, found.rows, ",.0f")
    yield _row("tokens of answers", found.tokens_out, found.rows, ",.0f")
    yield _row("answers", found.answers, found.rows, ",.2f")
    yield _row("seconds of waiting", found.seconds, found.rows, ",.2f")
    if found.money.value:
        yield _row("money (recipe's prices)", found.money, found.rows, ",.4f", total=",.2f")
    yield f"first answers with a problem: {bad.count} of {bad.n} ({bad.low:.0%} to {bad.high:.0%})"
    hours = found.hours
    yield (
        f"all rows: {hours.value:,.1f} hours ({hours.low:,.1f} to {hours.high:,.1f}), "
        f"{found.answers_per_hour:,.0f} answers an hour"
    )
    yield f"   with {found.concurrency} questions at once, if the teacher stays as fast then as now"
    if found.rows_in_budget is None:
        yield "no budget is set: caption.budget.max_tokens or max_money stops a costlier run"
    else:
        enough = "all of them" if found.rows_in_budget >= found.rows else f"not all {found.rows:,}"
        yield f"the budget pays for about {found.rows_in_budget:,} rows, {enough}"


def teachers_command(*, as_json: bool) -> None:
    """List the known teachers, and what a preset sets."""
    from nameplate.recipe.teachers import TEACHER_PRESETS

    if as_json:
        listed = [asdict(preset) for preset in TEACHER_PRESETS.values()]
        typer.echo(json.dumps({"teachers": [preset | {"sampling": dict(preset["sampling"])} for preset in listed]}))
        return
    for preset in TEACHER_PRESETS.values():
        sampling = ", ".join(f"{key} {value:g}" for key, value in preset.sampling.items() if value)
        typer.echo(f"{preset.name:<20}{preset.model}")
        typer.echo(f"   {sampling}; reading {preset.reading}; images up to {preset.longest_side} pixels")
        typer.echo(f"   {preset.note}")
        typer.echo(f"   our judgement, in no card: {', '.join(preset.inferred)}")


def print_captions(manifest: Manifest) -> None:
    """How the teacher's answers were, and what they cost; nothing where no teacher was asked."""
    from nameplate.summary import CaptionSummary, CleanSummary

    details = {name: record.details for name, record in manifest.stages.items()}
    found = CaptionSummary.read(details.get("caption", {}))
    if found is None or not found.questions:
        return
    for line in caption_lines(found, CleanSummary.read(details.get("clean", {}))):
        typer.echo(line)


def caption_lines(found: CaptionSummary, clean: CleanSummary | None) -> Iterator[str]:
    """The run in lines: abnormal, cut off, named, tries, cost."""
    asked = found.questions
    abnormal = sum(found.first_answer_problems.values())
    rows = sum(found.attempts.values())
    reasons = ", ".join(f"{code} {count:,}" for code, count in _most(found.first_answer_problems))
    yield f"first answers with a problem: {_share(abnormal, rows)}" + (f": {reasons}" if reasons else "")
    yield f"cut off: {_first_and_last(found.cut_off_first, found.cut_off_last, asked)}"
    if found.named_first is not None and found.named_last is not None:
        yield f"say the row's name: {_first_and_last(found.named_first, found.named_last, asked)}"
    if clean is not None and clean.named_rows:
        before, after = clean.name_present_before_repair, clean.name_present_after_repair
        yield f"   captions: {_share(before, clean.named_rows)} before repair, {_share(after, clean.named_rows)} after"
        exact = clean.name_verdicts.get("exact", 0)
        yield f"   spelled as the registry has it: {_share(exact, clean.named_rows)} before repair"
    yield "answers a row: " + ", ".join(f"{number}: {count:,}" for number, count in found.attempts.items())
    cost = f", {found.money:,.2f} at the recipe's prices" if found.money else ""
    yield f"tokens: {found.tokens_in:,} in, {found.tokens_out:,} out ({found.tokens_wasted:,} in bad answers){cost}"
    hours = found.answer_seconds / 3600
    yield f"answering: {hours:,.2f} hours in all; half came within {found.p50_ms:,} ms, 95 % within {found.p95_ms:,} ms"


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _share(count: int, n: int) -> str:
    from nameplate.statistics import wilson

    share = wilson(count, n)
    return f"{share.value:.1%} ({share.low * 100:.1f} to {share.high * 100:.1f})"


def _first_and_last(first: int, last: int, n: int) -> str:
    return f"{_share(first, n)} of first answers, {_share(last, n)} of last ones"


def _row(label: str, mean: Mean, rows: int, form: str, *, total: str = ",.0f") -> str:
    interval = f"{mean.low:{form}} to {mean.high:{form}}"
    return f"{label:<24}{mean.value:>12{form}}{interval:>22}{mean.value * rows:>16{total}}"


def _finite(tree: object) -> object:
    """JSON knows no infinity: a bound that is none is null."""
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    return None if isinstance(tree, float) and tree == float("inf") else tree


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\u00b7" for char in text)
