"""`nameplate audit`: is there anything in these captions that the base does not say by itself?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nameplate.cli.running import explaining, open_pipeline, showing

if TYPE_CHECKING:
    from rich.table import Table

    from nameplate.stages.audit import AuditSummary
    from nameplate.stages.audit.results import AuditFigures, Measured, Speaker
    from nameplate.summary import Proportion

_SPEAKERS: Mapping[Speaker, str] = {
    "caption": "the captions",
    "detail": "the base, in detail",
    "short": "the base, shortly",
}


def audit_command(
    *,
    recipe: Path,
    rows: int,
    seed: int,
    judge: bool,
    judge_model: str | None,
    run_dir: Path | None,
    overrides: Sequence[str],
    as_json: bool,
) -> int:
    """Audit, print what was found, and return the exit code of the verdict."""
    with explaining():
        from nameplate.detours import audit
        from nameplate.stages.audit import AuditChoices

        with showing(as_json) as progress:
            pipeline = open_pipeline(recipe, run_dir, overrides, progress=progress)
            asked = judge_model or pipeline.recipe.caption.teacher.model if judge or judge_model else None
            found = audit(pipeline, AuditChoices(rows=rows, seed=seed, judge=asked))
        run = pipeline.run_directory
        if as_json:
            typer.echo(json.dumps(found.model_dump(mode="json", exclude={"pairs"})))
        else:
            print_audit(found)
            typer.echo(f"page: {run.audit_path.with_suffix('.html')}")
        return found.verdict.exit_code


def print_audit(found: AuditSummary) -> None:
    """The tables; the verdict and its reasons stand last, where a person looks."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(_texts(found))
    console.print(_comparison(found))
    for line in _notes(found):
        console.print(Text(line))
    console.print(Text(f"{found.verdict.value}: {found.sentence}", style="bold"))
    for finding in found.findings:
        console.print(Text(f"  {finding.side}: {finding.sentence} ({finding.reason.value})"))


def _texts(found: AuditSummary) -> Table:
    from rich.markup import escape
    from rich.table import Table

    title = f"{found.rows:,} of {found.total:,} captions, and what {escape(found.base)} says of the same images"
    table = Table("", *_SPEAKERS.values(), title=title, title_justify="left")
    texts = [found.figures.texts[speaker] for speaker in _SPEAKERS]
    table.add_row("words, median", *(_median(each.words) for each in texts))
    table.add_row("different words, all texts", *(f"{each.vocabulary:,}" for each in texts))
    table.add_row("begin alike", *(_share(each.common_opening) for each in texts))
    for flag in texts[0].flags:
        if any(each.flags[flag].count for each in texts):
            table.add_row(flag.value, *(_share(each.flags[flag]) for each in texts))
    if found.figures.names is not None:
        table.add_row("say the row's name", *(_share(each.name_right) for each in texts))
    return table


def _comparison(found: AuditSummary) -> Table:
    from rich.table import Table

    figures = found.figures
    table = Table("", "the captions", "the base, in detail", title="as the base sees them (95 % interval)")
    table.title_justify = "left"
    gain, claims = figures.gain, figures.claims
    table.add_row("nats told of the image, median", _median(gain.captions, 1), _median(gain.base, 1))
    table.add_row("claims that it contradicts", _share(claims.captions), _share(claims.base))
    for factor in claims.factors:
        table.add_row(f"  {factor.factor}", _share(factor.captions), _share(factor.base))
    decided = claims.captions_more + claims.base_more
    table.add_row(f"say more that stands up, of {decided}", str(claims.captions_more), str(claims.base_more))
    table.add_row("say something that the other does not", _share(claims.added), _share(claims.lacking))
    if figures.judge is not None:
        judge = figures.judge
        table.add_row(f"won before the judge, of {judge.n}", str(judge.captions), str(judge.base))
    return table


def _notes(found: AuditSummary) -> Iterator[str]:
    figures = found.figures
    if figures.names is not None:
        names = figures.names
        yield (
            f"names: captions {_share(names.captions)} right, the base {_share(names.base)} in any of its three "
            f"answers; difference {100 * names.difference:+.1f} points ({100 * names.low:+.1f} to "
            f"{100 * names.high:+.1f}), exact McNemar p = {names.p_value:.2g}"
        )
    yield f"nearly the same as the base's own answer, names left out: {_share(figures.same)}"
    yield from _judge_notes(figures)


def _judge_notes(figures: AuditFigures) -> Iterator[str]:
    judge = figures.judge
    if judge is None:
        return
    yield (
        f"judge {judge.model}: {judge.ties:,} ties, flipped with the order {_share(judge.flips)}, "
        f"{judge.unjudged:,} answers not to be read; exact sign test p = {judge.p_value:.2g}; "
        f"the longer text won {_share(judge.longer_won)}"
    )
    if judge.is_teacher:
        yield "the judge wrote the captions itself: it may prefer its own words; give another with --judge-model"


def _share(share: Proportion) -> str:
    if share.n == 0:
        return "-"
    return f"{share.count}/{share.n} {share.value:.0%} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _median(measured: Measured, digits: int = 0) -> str:
    bounds = "" if measured.low is None else f" ({measured.low:.{digits}f} to {measured.high:.{digits}f})"
    return f"{measured.value:.{digits}f}{bounds}"
