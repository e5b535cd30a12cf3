"""The report's charts as files: `figures/*.svg` and `*.png`, on white, with titles, for slides and papers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nameplate.errors import RunDirectoryError
from nameplate.report.confusions import Confusions
from nameplate.report.drawing import Figure, Row, chart, figure, layers
from nameplate.report.formats import count
from nameplate.report.names import NameRow, Names
from nameplate.report.slices import Slices
from nameplate.report.svg import PAINT
from nameplate.store.files import write_bytes

if TYPE_CHECKING:
    import altair as alt

FOLDER: Final = "figures"
STEMS: Final = (
    "accuracy-name", "accuracy-detail", "accuracy-short", "ways-to-count", "loss", "support", "names", "confusions",
    "slices", "freeze-matrix",
)  # fmt: skip
"""All that this program ever writes there; other files in the folder are somebody's own."""
STEP: Final = 16
"""Pixels of one line of a chart with a line for each name."""
LONGEST_LABEL: Final = 260
"""Pixels; a longer label is cut."""


def write_figures(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """Write each chart as an SVG and a PNG file, in one step each, and take away those that are no longer drawn.

    Raises:
        RunDirectoryError: the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise RunDirectoryError(str(folder), found="is a file", expected="a folder for charts", fix="move it away")
    written = []
    for drawn in figures:
        assert drawn.stem in STEMS, f"{drawn.stem} would never be taken away"
        for ending, data in drawn.files().items():
            path = folder / f"{drawn.stem}.{ending}"
            write_bytes(path, data, durable=False)
            written.append(path)
    for stem in STEMS:
        for ending in ("svg", "png"):
            if (path := folder / f"{stem}.{ending}") not in written:
                path.unlink(missing_ok=True)
    return written


def file_figures(names: Names, confusions: Confusions | None, slices: Slices | None) -> list[Figure]:
    """The charts that the page draws as tables."""
    drawn = []
    if names.first:
        drawn.append(names_figure(names.first))
    if confusions is not None and confusions.pairs:
        drawn.append(confusions_figure(confusions))
    if slices is not None:
        drawn.append(slices_figure(slices))
    return drawn


def names_figure(rows: Sequence[NameRow]) -> Figure:
    """Every name's estimate with its interval, and what was counted."""
    lines: list[Row] = [
        {
            "line": f"{row.name} ({row.right} of {row.test})", "value": row.shrunk, "low": row.low, "high": row.high,
            "raw": row.after,
        }
        for row in rows
    ]  # fmt: skip
    return _lines(
        lines,
        stem="names",
        title="Accuracy by name: estimate with 95 % interval (dot), counted share (ring)",
        label=f"Estimated accuracy of {count(len(rows))} names, most test images first.",
    )


def slices_figure(slices: Slices) -> Figure:
    """The chosen model in every slice, with 95 % Wilson intervals; rings: before training."""
    lines: list[Row] = [
        {
            "line": f"{table.title}: {each.label} ({each.after.n})", "value": each.after.value, "low": each.after.low,
            "high": each.after.high, "raw": each.before.value,
        }
        for table in slices.tables
        for each in table.slices
    ]  # fmt: skip
    return _lines(
        lines,
        stem="slices",
        title="Accuracy by slice: after training with 95 % interval (dot), before (ring)",
        label=f"Accuracy in {count(len(lines))} slices.",
    )


def confusions_figure(confusions: Confusions) -> Figure:
    """The commonest pairs as bars."""
    import altair as alt

    pairs = confusions.pairs
    lines: list[Row] = [{"line": f"{pair.true} said to be {pair.said}", "count": pair.count} for pair in pairs]
    most = max(pair.count for pair in pairs)
    axis = alt.X("count:Q", title="images", axis=alt.Axis(format="d", tickCount=min(5, most)))
    bars = chart(lines).mark_bar(color=PAINT["test"], height=STEP * 0.6).encode(_line_axis(lines), axis)
    return figure(
        layers(bars).properties(height=_step()),
        stem="confusions",
        title="What is taken for what, most often",
        label=f"The {count(len(lines))} commonest confusions.",
    )


def _lines(lines: list[Row], *, stem: str, title: str, label: str) -> Figure:
    base = chart(lines).encode(_line_axis(lines))
    return figure(
        layers(
            base.mark_rule(color=PAINT["test"], opacity=0.4, strokeWidth=4).encode(_share("low:Q"), x2="high:Q"),
            base.mark_point(filled=False, size=60, color=PAINT["muted"], opacity=1).encode(_share("raw:Q")),
            base.mark_point(filled=True, size=40, color=PAINT["test"], opacity=1).encode(_share("value:Q")),
        ).properties(height=_step()),
        stem=stem,
        title=title,
        label=label,
    )


def _share(field: str) -> alt.X:
    import altair as alt

    return alt.X(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5, grid=True))


def _line_axis(lines: list[Row]) -> alt.Y:
    import altair as alt

    axis = alt.Axis(labelLimit=LONGEST_LABEL, ticks=False, domain=False)
    return alt.Y("line:N", title=None, sort=[row["line"] for row in lines], axis=axis)


def _step() -> alt.Step:
    import altair as alt

    return alt.Step(STEP)
