"""Scores as a table for a person, and below it what must be known to read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nameplate.records import SplitName
    from nameplate.summary import CheckpointScores, ClosedScores, Metrics, Proportion, ScoreSummary

_LEGEND: Final = (
    "right: the right name and no other, with its 95 % interval; by name: the mean over names; strict: that name and "
    "nothing else; any: that name, others or not; other: another name; none: no known name"
)
_CUT: Final = "cut: stopped by the token limit"
_PICKED: Final = "pick, in 5: the right one, or among the first five, when choosing among all {names:,} names"
_UNSCORED: Final = "lost: rows without an answer, in no share"


class _Line(NamedTuple):
    scores: CheckpointScores
    metrics: Metrics
    closed: ClosedScores | None


def print_scores(score: ScoreSummary) -> None:
    """Every model's ways to count on the headline question, split by split, and the sentences that belong to them."""
    console = Console()
    splits: tuple[SplitName, ...] = ("validation", "test")
    lines = {split: list(_lines(score, split)) for split in splits}
    console.print(Text(f'asked "{score.questions.get(score.headline, score.headline)}"'))
    for split, own in lines.items():
        if own:
            console.print(_table(score, split, own, extra=_extra([*lines["validation"], *lines["test"]])))
    console.print(Text(f"* chosen. {_legend(lines)}.", style="dim"))
    for sentence in _sentences(score):
        console.print()
        console.print(Text(sentence))


def _lines(score: ScoreSummary, split: SplitName) -> Iterator[_Line]:
    for scores in score.checkpoints:
        metrics = scores.metrics.get(split, {}).get(score.headline)
        if metrics is not None:
            yield _Line(scores, metrics, scores.closed.get(split))


def _table(score: ScoreSummary, split: SplitName, lines: list[_Line], *, extra: list[str]) -> Table:
    num_rows = max(line.metrics.accuracy.n for line in lines)
    # Narrow enough for a terminal of 80 columns.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(split, no_wrap=True)
    for heading in (f"right of {num_rows:,}", "by name", "strict", "any", "other", "none", *extra):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        name = line.scores.name + (" *" if line.scores.name == score.selected else "")
        table.add_row(Text(name), *_cells(line), *(_cell(line, which) for which in extra))
    return table


def _extra(lines: list[_Line]) -> list[str]:
    """Columns that are only shown where they say something."""
    wanted = {
        "cut": any(line.metrics.cut_off is not None and line.metrics.cut_off.count for line in lines),
        "lost": any(line.metrics.unscored for line in lines),
        "pick": any(line.closed for line in lines),
        "in 5": any(line.closed and line.closed.names > 5 for line in lines),
    }
    return [heading for heading, is_wanted in wanted.items() if is_wanted]


def _cells(line: _Line) -> tuple[str, ...]:
    metrics = line.metrics
    shares = (metrics.strict, metrics.mention_any, metrics.wrong_name, metrics.no_name)
    return (_interval(metrics.accuracy), f"{metrics.macro_accuracy:.0%}", *map(_share, shares))


def _cell(line: _Line, which: str) -> str:
    if which == "lost":
        return f"{line.metrics.unscored:,}"
    closed = line.closed
    return _share(
        {
            "cut": line.metrics.cut_off,
            "pick": closed.picked if closed is not None else None,
            "in 5": closed.in_five if closed is not None else None,
        }[which]
    )


def _legend(lines: dict[SplitName, list[_Line]]) -> str:
    shown = [line for own in lines.values() for line in own]
    extra, names = _extra(shown), max((line.closed.names for line in shown if line.closed is not None), default=0)
    parts = {"cut": _CUT, "lost": _UNSCORED, "pick": _PICKED.format(names=names)}
    return "; ".join([_LEGEND, *(text for which, text in parts.items() if which in extra)])


def _sentences(score: ScoreSummary) -> Iterator[str]:
    yield score.comparison.sentence
    if score.choice:
        yield score.choice
    chosen = next(each for each in score.checkpoints if each.name == score.selected)
    yield from (closed.sentence for closed in chosen.closed.values() if closed.sentence)
    if chosen.memorisation is not None:
        yield chosen.memorisation.sentence
    if chosen.guards is not None:
        yield from (f"{chosen.name}: {sentence}" for sentence in chosen.guards.sentences)
    if score.looks is not None:
        yield score.looks.sentence
    yield from score.notes
    yield from (
        f"{check.model}: {check.sentence}".removeprefix(": ") for check in score.checks if check.outcome == "warned"
    )


def _interval(share: Proportion) -> str:
    return f"{share.value:.1%} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _share(share: Proportion | None) -> str:
    return f"{share.value:.0%}" if share is not None else "-"
