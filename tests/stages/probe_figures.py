"""Evidence and whole probes made by hand."""

from __future__ import annotations

from nameplate.models.probing.view import View
from nameplate.stages.probe.advice import conclude
from nameplate.stages.probe.counting import proportion
from nameplate.stages.probe.results import (
    Baseline,
    BaselineFigures,
    Evidence,
    Gap,
    GapName,
    Level,
    Macro,
    NameFigures,
    ProbeSummary,
    ReadingFigures,
    RowCounts,
    Scored,
    Slice,
    Sure,
)
from nameplate.stages.probe.thresholds import CONFIDENCE
from nameplate.statistics import wilson

HOSTILE = "<script>document.title = 'owned'</script>"
"""What a model may say."""


def evidence(
    eye: float | None = 0.8,
    projector: float | None = 0.8,
    answer: float | None = 0.8,
    says: float = 0.8,
    *,
    rows: int = 400,
    majority: float = 0.05,
    blank: float = 0.02,
    half: float | None = None,
    per_name: float = 100,
    shrunk: float | None = 1.0,
    width: float = 0.035,
) -> Evidence:
    """Shares of the levels, and the half-width of the intervals that decide on gaps."""
    values = {Level.EYE: eye, Level.PROJECTOR: projector, Level.ANSWER: answer, Level.SAYS: says}
    levels = {level: proportion(round(value * rows), rows) for level, value in values.items() if value is not None}
    sure = {level: wilson(share.count, rows, confidence=CONFIDENCE) for level, share in levels.items()}
    given = next((value for value in (projector, eye, answer) if value is not None), None)
    carried = next((value for value in (projector, eye) if value is not None), None)
    best = max(value for value in (eye, projector, answer) if value is not None)
    pairs = {
        GapName.PROJECTOR: (eye, projector),
        GapName.CARRIED: (carried, answer),
        GapName.UNSAID: (answer, says),
        GapName.LANGUAGE: (given, says),
        GapName.CEILING: (best, says),
        GapName.SEES: (says, blank),
        GapName.ROWS: (eye, half),
    }
    return Evidence(
        rows=rows,
        names=20,
        median_per_name=per_name,
        levels=levels,
        sure={level: Sure(low=share.low, high=share.high) for level, share in sure.items()},
        majority=proportion(round(majority * rows), rows),
        gaps={
            name: _gap(more - less, width)
            for name, (more, less) in pairs.items()
            if more is not None and less is not None
        },
        shrunk=shrunk,
        tiles=1,
    )


def _gap(value: float, width: float) -> Gap:
    shown = 0.7 * width
    return Gap(
        value=value, low=value - shown, high=value + shown, surely_over=value - width, surely_under=value + width
    )


def summary_of(says: float, *, eye: float = 0.9, projector: float = 0.9, split: str = "one") -> ProbeSummary:
    given = evidence(eye, projector, projector, says)
    advice, findings, sentence, recipe = conclude(given)

    def scored(share: float) -> Scored:
        return Scored(
            top1=proportion(round(share * 400), 400),
            top5=proportion(round(share * 400), 400),
            macro=Macro(value=share, low=max(0.0, share - 0.03), high=min(1.0, share + 0.03)),
        )

    readings = [
        ReadingFigures(view=view, reader=reader, setting=setting, folds=proportion(80, 100), scored=scored(eye))
        for view in View
        for reader, setting in (("nearest", 10.0), ("linear", 0.001))
    ]
    return ProbeSummary(
        nameplate="0",
        base="starter",
        weights="w",
        split=split,
        read="validation",
        prompt="Which brand is this product?",
        counts=RowCounts(
            train=1400, train_total=1500, tried=400, tried_total=402, groups=180, images=1800, left_out=[HOSTILE]
        ),
        readings=readings,
        ceiling=readings[1],
        levels={Level.EYE: readings[1]},
        baselines=[
            BaselineFigures(baseline=which, answer=HOSTILE if which is Baseline.BLANK else None, scored=scored(says))
            for which in Baseline
        ],
        evidence=given,
        slices=[Slice(kind="training images of the name", label="30 to 99", names=12, rows=400, levels=given.levels)],
        by_name=[NameFigures(name="Acme", train=40, rows=20, levels={Level.EYE: 18})],
        advice=advice,
        sentence=sentence,
        findings=findings,
        recipe=recipe,
    )
