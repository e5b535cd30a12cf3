"""The leaderboard's page: one HTML file that needs nothing but itself, with links to each trial's report beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import yaml
from markupsafe import Markup

from nameplate.report.figures import FOLDER, write_figures
from nameplate.report.templating import asset, environment
from nameplate.store.files import write_text
from nameplate.summary import ComponentRow
from nameplate.sweep.figures import freeze_figure
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.results import MemberRow, SweepSummary, TrialResult

LEAST_SPAN: Final = 0.05
"""The differences' axis reaches at least so far to both sides, so that noise does not fill it."""


@dataclass(frozen=True)
class Cell:
    """One component in the picture of the freeze matrix."""

    words: str
    rate: str
    share: float
    """How much of the component learns, 0 to 1; adapters count as little as they are."""
    kind: str
    """frozen, full, part or lora."""


@dataclass(frozen=True)
class Knows:
    """What a member still knows beside the names, over its seeds."""

    share: float
    """Right answers to questions that are not about the name."""
    base: float
    """Of the base, to the same questions."""
    worse: tuple[str, ...]
    """What became worse, in words."""


@dataclass(frozen=True)
class Line:
    """One member on the page."""

    row: MemberRow
    cells: tuple[Cell, ...]
    reports: tuple[tuple[int, str], ...]
    """Seed and relative address of the report, of each trial that is done."""
    seconds: float
    """Mean over seeds."""
    peak_bytes: int
    cached_bytes: int | None
    changes: str
    """As YAML."""
    knows: Knows | None
    """None: nobody asked."""


def write_sweep_page(summary: SweepSummary, folder: SweepFolder) -> Path:
    """Write `sweep.html` in one step, the freeze matrix as files beside it, and return the page's path.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    lines = [_line(row) for row in summary.rows]
    page = (
        environment()
        .get_template("sweep.html.j2")
        .render(
            style=Markup(asset("style.css") + asset("sweep.css")),  # our own files, not data
            written=datetime.now(UTC),
            sweep=summary,
            lines=lines,
            chosen=next((line for line in lines if line.row.member == summary.chosen), None),
            slowest=max((line.seconds for line in lines), default=0.0),
            span=_span(summary.rows),
        )
    )
    drawn = freeze_figure(summary)
    write_figures([drawn] if drawn is not None else [], folder.root / FOLDER)
    write_text(folder.page_path, page)
    return folder.page_path


def _line(row: MemberRow) -> Line:
    done = row.done
    cached = [trial.cached_bytes for trial in done if trial.cached_bytes is not None]
    return Line(
        row=row,
        cells=tuple(_cell(part, row.policies[part.component]) for part in row.parts),
        reports=tuple((trial.seed, quote(f"{trial.folder}/report.html")) for trial in done),
        seconds=sum(trial.train_seconds for trial in done) / len(done) if done else 0.0,
        peak_bytes=max((trial.peak_memory_bytes for trial in done), default=0),
        cached_bytes=max(cached, default=None),
        changes=yaml.safe_dump(row.changes, sort_keys=False, allow_unicode=True, default_flow_style=None)
        if row.changes
        else "(nothing)\n",
        knows=_knows(done),
    )


def _knows(done: Sequence[TrialResult]) -> Knows | None:
    pairs = [(trial.guards, trial.base_guards) for trial in done]
    now = [each.right for after, _ in pairs if after is not None for each in after.questions]
    was = [each.right for _, base in pairs if base is not None for each in base.questions]
    if not (sum(right.n for right in now) and sum(right.n for right in was)):
        return None
    share, base = (sum(right.count for right in own) / sum(right.n for right in own) for own in (now, was))
    worse = dict.fromkeys(line for after, _ in pairs if after is not None for line in after.sentences)
    return Knows(share, base, tuple(worse))


def _cell(part: ComponentRow, words: str) -> Cell:
    share = min(1.0, part.trainable / part.parameters) if part.parameters else 0.0
    kind = "frozen" if not part.trainable else "lora" if part.rank is not None else "full" if share == 1 else "part"
    return Cell(words=words, rate=f"{part.lr:.1e}" if part.lr is not None else "", share=share, kind=kind)


def _span(rows: Sequence[MemberRow]) -> float:
    ends = [abs(end) for row in rows if row.comparison is not None for end in (row.comparison.low, row.comparison.high)]
    return max([LEAST_SPAN, *ends])
