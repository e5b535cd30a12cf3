"""Evidence made by hand for the truth table of the advice."""

from __future__ import annotations

from nameplate.stages.probe.counting import proportion
from nameplate.stages.probe.results import Evidence, Gap, GapName, Level, Sure
from nameplate.stages.probe.thresholds import CONFIDENCE
from nameplate.statistics import wilson


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
