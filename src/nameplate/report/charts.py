"""The charts: accuracy and loss over epochs, accuracy by support. Vega-Lite specs by Altair, drawn offline.

Altair and the renderer are imported when a chart is drawn: a program that only wants help must not wait for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from nameplate.records import SplitName
from nameplate.report.formats import count, percent, question
from nameplate.report.formats import loss as format_loss
from nameplate.report.svg import PAINT, inline_svg
from nameplate.report.verdict import metrics_of, scores_of
from nameplate.summary import NameScore, ScoreSummary, TrainSummary

if TYPE_CHECKING:
    import altair as alt

WIDTH: Final = 300
HEIGHT: Final = 210
MAX_LOSSES: Final = 300
"""Logged losses are thinned to so many points; a chart of this width shows no more."""
JUDGED: Final[tuple[SplitName, ...]] = ("validation", "test")

Row = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A drawn chart with its words."""

    svg: Markup
    title: str
    caption: str
    keys: tuple[str, ...]
    """Names of the colours to explain, in the order of the legend."""


def accuracy_figure(score: ScoreSummary, prompt: str) -> Figure:
    """Accuracy over epochs on validation and test, with 95 % bands, for one question."""
    rows = _accuracy_rows(score, prompt)
    title = question(prompt).capitalize()
    label = f"Accuracy, {question(prompt)}. " + " ".join(
        f"{split}: "
        + ", ".join(f"epoch {row['epoch']} {percent(row['value'])}" for row in rows if row["split"] == split)
        + "."
        for split in JUDGED
    )
    epochs = [scores.epoch for scores in score.checkpoints]
    spec = _accuracy_chart(rows, epochs=epochs, selected=scores_of(score, score.selected).epoch)
    caption = "Share of images that got the right name and no other. Bands: 95 % Wilson intervals. Epoch 0: untrained."
    return Figure(_draw(spec, key=f"accuracy-{prompt}", label=label), title, caption, JUDGED)


def loss_figure(score: ScoreSummary, train: TrainSummary) -> Figure:
    """Next-token loss over epochs: training as logged, validation at each checkpoint."""
    # A loss that is no number (training that blew up) cannot be drawn; the table says it.
    logged = [(epoch, value) for epoch, value in train.losses if math.isfinite(value)]
    rows: list[Row] = [{"epoch": epoch, "value": value, "split": "train"} for epoch, value in _thinned(logged)]
    judged: list[Row] = [
        {"epoch": scores.epoch, "value": scores.loss["validation"], "split": "validation"}
        for scores in score.checkpoints
        if math.isfinite(scores.loss.get("validation", math.nan))
    ]
    title = "Loss per answer token"
    label = f"{title}. " + "validation: " + ", ".join(f"epoch {r['epoch']} {format_loss(r['value'])}" for r in judged)
    if rows:
        label += f". train: from {format_loss(rows[0]['value'])} to {format_loss(rows[-1]['value'])}"
    epochs = [scores.epoch for scores in score.checkpoints]
    spec = _loss_chart(rows, judged, epochs=epochs, selected=scores_of(score, score.selected).epoch)
    caption = (
        "Next-token loss. Training as it was logged, validation at each checkpoint. "
        "A falling loss with flat accuracy means that the wording was learned and the names were not."
    )
    return Figure(_draw(spec, key="loss", label=label + "."), title, caption, ("train", "validation"))


def support_figure(names: list[NameScore]) -> Figure:
    """Accuracy of each name before and after, against its number of training examples."""
    rows = [
        {"train": max(name.train, 1), "before": name.before / name.test, "after": name.after / name.test}
        for name in names
        if name.test
    ]
    title = "More examples, better known?"
    better = sum(1 for row in rows if row["after"] > row["before"])
    label = f"{title} {count(better)} of {count(len(rows))} names are named right more often after training."
    caption = (
        "One column per name: hollow before, filled after training. The number of training examples is on a log scale."
    )
    return Figure(_draw(_support_chart(rows), key="support", label=label), title, caption, ("before", "after"))


def _accuracy_rows(score: ScoreSummary, prompt: str) -> list[Row]:
    rows = []
    for scores in score.checkpoints:
        for split in JUDGED:
            metrics = metrics_of(scores, split, prompt)
            if metrics is not None:
                share = metrics.accuracy
                rows.append(
                    {"epoch": scores.epoch, "split": split, "value": share.value, "low": share.low, "high": share.high}
                )
    return rows


def _thinned(losses: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, -(-len(losses) // MAX_LOSSES))
    return losses[::step]


def _accuracy_chart(rows: list[Row], *, epochs: list[int], selected: int) -> alt.LayerChart:
    import altair as alt

    base = _chart(rows).encode(x=_epoch_axis(epochs), color=_colours(*JUDGED))
    band = base.mark_area(opacity=0.16).encode(y=_share_axis("low:Q"), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(y="value:Q", strokeDash=_dashes())
    dots = base.mark_point(filled=True, size=34, opacity=1).encode(y="value:Q")
    return alt.LayerChart(layer=[band, _selected_rule(selected), line, dots])


def _loss_chart(rows: list[Row], judged: list[Row], *, epochs: list[int], selected: int) -> alt.LayerChart:
    import altair as alt

    axis = alt.Y("value:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    colours = _colours("train", "validation")
    logged = _chart(rows).mark_line(strokeWidth=1.5).encode(_epoch_axis(epochs), axis, color=colours)
    checked = _chart(judged).encode(_epoch_axis(epochs), axis, color=colours)
    return alt.LayerChart(
        layer=[
            _selected_rule(selected),
            logged,
            checked.mark_line(strokeWidth=2).encode(strokeDash=_dashes()),
            checked.mark_point(filled=True, size=34, opacity=1),
        ]
    )


def _support_chart(rows: list[Row]) -> alt.LayerChart:
    import altair as alt

    x = alt.X(
        "train:Q",
        title="training examples",
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=alt.Axis(tickCount=5),
    )
    base = _chart(rows).encode(x=x)
    return alt.LayerChart(
        layer=[
            base.mark_rule(color=PAINT["grid"], strokeWidth=1.5).encode(y=_share_axis("before:Q"), y2="after:Q"),
            base.mark_point(filled=False, size=42, strokeWidth=1.4, color=PAINT["muted"], opacity=1).encode(
                y="before:Q"
            ),
            base.mark_point(filled=True, size=42, color=PAINT["test"], opacity=1).encode(y="after:Q"),
        ]
    )


def _selected_rule(epoch: int) -> alt.LayerChart:
    import altair as alt

    rule = _chart([{"epoch": epoch}]).encode(x="epoch:Q")
    text = rule.mark_text(align="center", baseline="bottom", y=-4, fontSize=11, color=PAINT["ink"], fontWeight="bold")
    line = rule.mark_rule(color=PAINT["muted"], strokeDash=[2, 3])
    return alt.LayerChart(layer=[line, text.encode(text=alt.value("chosen"))])


def _epoch_axis(epochs: list[int]) -> alt.X:
    import altair as alt

    ticks = alt.Axis(format="d", labelFlush=False, tickMinStep=1)
    if len(epochs) <= 8:
        ticks = alt.Axis(format="d", labelFlush=False, values=epochs)
    return alt.X(
        "epoch:Q",
        title="epoch",
        axis=ticks,
        scale=alt.Scale(nice=False, padding=8),
    )


def _share_axis(field: str) -> alt.Y:
    import altair as alt

    return alt.Y(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))


def _colours(*names: str) -> alt.Color:
    import altair as alt

    return alt.Color("split:N", legend=None, scale=alt.Scale(domain=list(names), range=[PAINT[name] for name in names]))


def _dashes() -> alt.StrokeDash:
    """Validation is dashed: colour alone must not carry the difference."""
    import altair as alt

    scale = alt.Scale(domain=["validation", "test", "train"], range=[[5, 3], [1, 0], [1, 0]])
    return alt.StrokeDash("split:N", legend=None, scale=scale)


def _chart(rows: list[Row]) -> alt.Chart:
    import altair as alt

    return alt.Chart(alt.InlineData(values=rows))


def _draw(chart: alt.LayerChart, *, key: str, label: str) -> Markup:
    import vl_convert

    styled = chart.properties(width=WIDTH, height=HEIGHT, background="transparent", padding=4).configure(
        view={"stroke": None},
        axis={
            "labelColor": PAINT["muted"],
            "titleColor": PAINT["muted"],
            "domainColor": PAINT["grid"],
            "tickColor": PAINT["grid"],
            "gridColor": PAINT["grid"],
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
        },
        axisX={"grid": False},
        axisY={"domain": False, "ticks": False, "labelPadding": 6},
    )
    return inline_svg(vl_convert.vegalite_to_svg(styled.to_json()), key=key, label=label)
