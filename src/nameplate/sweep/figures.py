"""The freeze matrix as a chart: which part of the model learned, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nameplate.report.drawing import Figure, Row, chart, figure, layers
from nameplate.report.svg import PAINT
from nameplate.sweep.results import MemberRow, SweepSummary

if TYPE_CHECKING:
    import altair as alt

STEP: Final = 30
PART_WIDTH: Final = 74
BAND_WIDTH: Final = 300


def freeze_figure(summary: SweepSummary) -> Figure | None:
    """Members by components, with the test accuracy of each; none: nobody has a result yet."""
    import altair as alt

    rows = [row for row in summary.rows if row.test is not None]
    if not rows:
        return None
    return figure(
        alt.hconcat(_parts(rows), _bands(rows, summary), spacing=18),
        stem="freeze-matrix",
        title=f"{summary.title}: what learned (shaded) and test accuracy with 95 % interval; dashed: untrained",
        label=f"Freeze matrix of {len(rows)} members.",
    )


def _parts(rows: list[MemberRow]) -> alt.LayerChart:
    import altair as alt

    cells: list[Row] = [
        {
            "member": row.member,
            "part": part.component,
            "words": row.policies[part.component],
            "share": part.trainable / part.parameters if part.parameters else 0.0,
        }
        for row in rows
        for part in row.parts
    ]
    order = [part.component for part in rows[0].parts]
    x = alt.X("part:N", title=None, sort=order, axis=alt.Axis(orient="top", labelAngle=0, ticks=False, domain=False))
    base = chart(cells).encode(x, _members(rows))
    box = base.mark_rect(color=PAINT["test"], stroke=PAINT["muted"], width=PART_WIDTH - 6, height=STEP - 6).encode(
        fillOpacity=alt.FillOpacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0, 0.45]))
    )
    return layers(box, base.mark_text(color=PAINT["ink"], fontSize=11).encode(text="words:N")).properties(
        width=alt.Step(PART_WIDTH), height=alt.Step(STEP)
    )


def _bands(rows: list[MemberRow], summary: SweepSummary) -> alt.LayerChart:
    import altair as alt

    lines: list[Row] = [
        {"member": row.member, "value": row.test.value, "low": row.test.low, "high": row.test.high}
        for row in rows
        if row.test is not None
    ]
    share = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format=".0%", tickCount=5, grid=True)
    base = chart(lines).encode(_members(rows, shown=False))
    drawn = [
        base.mark_rule(color=PAINT["test"], opacity=0.4, strokeWidth=5).encode(
            alt.X("low:Q", title="test accuracy", scale=share, axis=axis), x2="high:Q"
        ),
        base.mark_point(filled=True, size=50, color=PAINT["test"], opacity=1).encode(x="value:Q"),
    ]
    if summary.base is not None:
        untrained = chart([{"value": summary.base.value}])
        drawn.append(untrained.mark_rule(color=PAINT["muted"], strokeDash=[3, 3]).encode(x="value:Q"))
    return layers(*drawn).properties(width=BAND_WIDTH, height=alt.Step(STEP))


def _members(rows: list[MemberRow], *, shown: bool = True) -> alt.Y:
    import altair as alt

    axis = alt.Axis(labels=shown, ticks=False, domain=False, labelLimit=220)
    return alt.Y("member:N", title=None, sort=[row.member for row in rows], axis=axis)
