"""The charts over epochs: every way to count with its interval, and the losses; and accuracy by support."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from nameplate.records import SplitName
from nameplate.report.drawing import Figure, Key, Row, chart, colours, figure, layers, share_axis
from nameplate.report.formats import count, percent, question
from nameplate.report.formats import loss as format_loss
from nameplate.report.svg import PAINT
from nameplate.report.verdict import metrics_of, scores_of
from nameplate.summary import CheckpointScores, NameScore, Proportion, ScoreSummary, TrainSummary

if TYPE_CHECKING:
    import altair as alt

MAX_LOSSES: Final = 300
"""Logged losses are thinned to so many points; a chart of this width shows no more."""
TRAIN: Final = Key("train", "training rows")
SPLITS: Final[dict[SplitName, Key]] = {
    "train": TRAIN,
    "validation": Key("validation", "validation"),
    "test": Key("test", "test"),
}
HELD_OUT: Final[tuple[SplitName, ...]] = ("validation", "test")
LOSSES: Final = (TRAIN, SPLITS["validation"])
STRICT, EXCLUSIVE, MENTION, CLOSED = (
    Key("strict", "the name and nothing else"),
    Key("validation", "the name and no other"),
    Key("mention", "the name, others or not"),
    Key("closed", "picked of all names"),
)

Found = list[tuple[CheckpointScores, Key, Proportion | None]]


def curves(score: ScoreSummary, train: TrainSummary) -> list[Figure]:
    """All charts over epochs: the deciding question first, the losses last."""
    asked = sorted(score.checkpoints[0].metrics.get("validation", {}), key=lambda prompt: prompt != score.headline)
    drawn = [accuracy_figure(score, prompt) for prompt in asked]
    ways = ways_figure(score)
    return [*drawn[:1], *([ways] if ways is not None else []), *drawn[1:], loss_figure(score, train)]


def is_average(scores: CheckpointScores) -> bool:
    """Whether this is no moment of the training, but the average of several."""
    return scores.epoch > 0 and not scores.name.startswith("epoch-")


def accuracy_figure(score: ScoreSummary, prompt: str) -> Figure:
    """Accuracy over epochs with 95 % intervals, for one question: validation, test where it was read, training rows."""
    found: Found = []
    for scores in score.checkpoints:
        if prompt == score.headline:
            found.append((scores, TRAIN, scores.memorisation.train if scores.memorisation is not None else None))
        for split in HELD_OUT:
            metrics = metrics_of(scores, split, prompt)
            found.append((scores, SPLITS[split], metrics.accuracy if metrics is not None else None))
    rows, keys = _rows(score, found), _keys(found)
    title = question(prompt).capitalize()
    return figure(
        _share_chart(rows, score, keys),
        stem=f"accuracy-{prompt}",
        title=title,
        file_title=f"Accuracy over epochs, {question(prompt)}",
        label=_label(f"Accuracy, {question(prompt)}", rows, keys),
        caption="Share of images that got the right name and no other. Bands and bars: 95 % Wilson intervals. Epoch 0: "
        "untrained." + _extra(score, keys),
        keys=keys,
    )


def ways_figure(score: ScoreSummary) -> Figure | None:
    """The ways to count beside each other, on validation; none: the scores know one way only."""
    found: Found = []
    for scores in score.checkpoints:
        metrics, closed = metrics_of(scores, "validation", score.headline), scores.closed.get("validation")
        if metrics is not None:
            found += [(scores, STRICT, metrics.strict), (scores, EXCLUSIVE, metrics.accuracy)]
            found.append((scores, MENTION, metrics.mention_any))
        found.append((scores, CLOSED, closed.picked if closed is not None else None))
    rows, keys = _rows(score, found), _keys(found)
    if len(keys) < 2:
        return None
    return figure(
        _share_chart(rows, score, keys),
        stem="ways-to-count",
        title="Ways to count",
        file_title="Ways to count an answer, validation over epochs",
        label=_label(f"Validation, {question(score.headline)}", rows, keys),
        caption="The same validation images, counted strictly and leniently, and the model made to choose among all "
        "names. Choosing far above saying: it knows, but cannot say.",
        keys=keys,
    )


def loss_figure(score: ScoreSummary, train: TrainSummary) -> Figure:
    """Next-token loss over epochs: training as logged, validation at each checkpoint."""
    # A loss that is no number (training that blew up) cannot be drawn; the table says it.
    logged = [(epoch, value) for epoch, value in train.losses if math.isfinite(value)]
    rows: list[Row] = [{"epoch": epoch, "value": value, "what": TRAIN.words} for epoch, value in _thinned(logged)]
    judged: list[Row] = [
        {"epoch": scores.epoch, "value": scores.loss["validation"], "what": "validation"}
        for scores in score.checkpoints
        if math.isfinite(scores.loss.get("validation", math.nan)) and not is_average(scores)
    ]
    title = "Loss per answer token"
    label = f"{title}. " + "validation: " + ", ".join(f"epoch {r['epoch']} {format_loss(r['value'])}" for r in judged)
    if rows:
        label += f". train: from {format_loss(rows[0]['value'])} to {format_loss(rows[-1]['value'])}"
    return figure(
        _loss_chart(rows, judged, score),
        stem="loss",
        title=title,
        label=label + ".",
        caption="Next-token loss. Training as it was logged, validation at each checkpoint. "
        "A falling loss with flat accuracy means that the wording was learned and the names were not.",
        keys=LOSSES,
    )


def support_figure(names: Sequence[NameScore]) -> Figure:
    """Accuracy of each name before and after, against its number of training examples."""
    rows: list[Row] = [
        {"train": max(name.train, 1), "before": name.before / name.test, "after": name.after / name.test}
        for name in names
        if name.test
    ]
    title = "More examples, better known?"
    better = sum(1 for row in rows if row["after"] > row["before"])
    return figure(
        _support_chart(rows),
        stem="support",
        title=title,
        label=f"{title} {count(better)} of {count(len(rows))} names are named right more often after training.",
        caption="One column per name: hollow before, filled after training. The number of training examples is on a "
        "log scale.",
        keys=(Key("before", "before"), Key("after", "after")),
    )


def _keys(found: Found) -> list[Key]:
    """Of what was counted at all, in the order in which it was looked for."""
    return list(dict.fromkeys(key for _, key, share in found if share is not None))


def _rows(score: ScoreSummary, found: Found) -> list[Row]:
    """What was counted, as the charts want it.

    Where a checkpoint was not asked there is no line, which would pretend to know what lies between. Averages of
    checkpoints stand apart: they are no moment of the training.
    """
    known = [(scores, key, share) for scores, key, share in found if share is not None]
    trained = {scores.name for scores in score.checkpoints if scores.epoch > 0 and not is_average(scores)}
    has_gaps = {key: bool(trained - {scores.name for scores, other, _ in known if other == key}) for _, key, _ in known}
    rows = []
    for scores, key, share in known:
        kind = "apart" if is_average(scores) else "dots" if has_gaps[key] else "line"
        rows.append(
            {
                "epoch": _place(score, scores), "model": scores.name, "what": key.words, "kind": kind,
                "value": share.value, "low": share.low, "high": share.high,
            }
        )  # fmt: skip
    return rows


def _label(title: str, rows: list[Row], keys: Sequence[Key]) -> str:
    parts = [f"{title}."]
    for key in keys:
        said = (
            f"{row['model'] if row['kind'] == 'apart' else 'epoch ' + str(row['epoch'])} {percent(row['value'])}"
            for row in rows
            if row["what"] == key.words
        )
        parts.append(f"{key.words}: {', '.join(said)}.")
    return " ".join(parts)


def _extra(score: ScoreSummary, keys: Sequence[Key]) -> str:
    text = " Training rows: a sample of those that it learned from." if TRAIN in keys else ""
    if any(is_average(scores) for scores in score.checkpoints):
        text += " Diamonds: an average of the last checkpoints, which is no moment of the training."
    return text


def _thinned(losses: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, -(-len(losses) // MAX_LOSSES))
    return losses[::step]


def _share_chart(rows: list[Row], score: ScoreSummary, keys: Sequence[Key]) -> alt.LayerChart:
    x, colour = _epoch_axis(score), colours("what:N", keys)

    def of(*kinds: str) -> alt.Chart:
        return chart([row for row in rows if row["kind"] in kinds]).encode(x, colour)

    band = of("line").mark_area(opacity=0.14).encode(y=share_axis("low:Q"), y2="high:Q")
    bars = of("dots", "apart").mark_rule(strokeWidth=1.5).encode(y=share_axis("low:Q"), y2="high:Q")
    line = of("line").mark_line(strokeWidth=2).encode(y="value:Q", strokeDash=_dashes(keys))
    dots = of("line", "dots").mark_point(filled=True, size=34, opacity=1).encode(y="value:Q")
    apart = of("apart").mark_point(filled=True, shape="diamond", size=90, opacity=1).encode(y="value:Q")
    return layers(band, _selected_rule(score), bars, line, dots, apart)


def _loss_chart(rows: list[Row], judged: list[Row], score: ScoreSummary) -> alt.LayerChart:
    import altair as alt

    axis = alt.Y("value:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    logged = chart(rows).mark_line(strokeWidth=1.5).encode(_epoch_axis(score), axis, color=colours("what:N", LOSSES))
    checked = chart(judged).encode(_epoch_axis(score), axis, color=colours("what:N", LOSSES))
    return layers(
        _selected_rule(score),
        logged,
        checked.mark_line(strokeWidth=2).encode(strokeDash=_dashes(LOSSES)),
        checked.mark_point(filled=True, size=34, opacity=1),
    )


def _support_chart(rows: list[Row]) -> alt.LayerChart:
    import altair as alt

    x = alt.X(
        "train:Q",
        title="training examples",
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=alt.Axis(tickCount=5),
    )
    base = chart(rows).encode(x=x)
    return layers(
        base.mark_rule(color=PAINT["grid"], strokeWidth=1.5).encode(y=share_axis("before:Q"), y2="after:Q"),
        base.mark_point(filled=False, size=42, strokeWidth=1.4, color=PAINT["muted"], opacity=1).encode(y="before:Q"),
        base.mark_point(filled=True, size=42, color=PAINT["test"], opacity=1).encode(y="after:Q"),
    )


def _selected_rule(score: ScoreSummary) -> alt.LayerChart:
    import altair as alt

    rule = chart([{"epoch": _place(score, scores_of(score, score.selected))}]).encode(x="epoch:Q")
    text = rule.mark_text(align="center", baseline="bottom", y=-4, fontSize=11, color=PAINT["ink"], fontWeight="bold")
    line = rule.mark_rule(color=PAINT["muted"], strokeDash=[2, 3])
    return layers(line, text.encode(text=alt.value("chosen")))


def _place(score: ScoreSummary, scores: CheckpointScores) -> float:
    """Where a model stands on the epoch axis: an average stands apart, behind all that was a moment of training."""
    last = max(each.epoch for each in score.checkpoints)
    return last * 1.08 if is_average(scores) else scores.epoch


def _epoch_axis(score: ScoreSummary) -> alt.X:
    import altair as alt

    # An average has the epoch of its last checkpoint.
    epochs = sorted({scores.epoch for scores in score.checkpoints})
    ticks = alt.Axis(format="d", labelFlush=False, tickMinStep=1)
    if len(epochs) <= 8:
        ticks = alt.Axis(format="d", labelFlush=False, values=epochs)
    return alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(nice=False, padding=8))


def _dashes(keys: Sequence[Key]) -> alt.StrokeDash:
    """Colour alone must not carry the difference."""
    import altair as alt

    dashes = {"validation": [5, 3], "strict": [2, 2], "mention": [8, 2, 2, 2]}
    scale = alt.Scale(domain=[key.words for key in keys], range=[dashes.get(key.colour, [1, 0]) for key in keys])
    return alt.StrokeDash("what:N", legend=None, title=None, scale=scale)
