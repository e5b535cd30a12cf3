"""Figures of an audit made by hand: by default nothing in them speaks for or against the captions."""

from __future__ import annotations

from typing import Any

from nameplate.stages.audit.results import (
    AuditFigures,
    ClaimFigures,
    ImageGain,
    JudgeFigures,
    Measured,
    NameFigures,
    TextFigures,
    TextFlag,
    proportion,
)
from nameplate.stages.audit.thresholds import CONFIDENCE
from nameplate.statistics import paired_difference

FLAT = Measured(n=200, value=20.0, low=18.0, high=22.0)


def audit_figures(*, rows: int = 200, twins: int = 0, same: int = 0, **parts: Any) -> AuditFigures:
    texts = {speaker: text_figures(rows, twins if speaker == "caption" else 0) for speaker in _SPEAKERS}
    wanted = {"names": None, "gain": image_gain(rows), "claims": claim_figures(rows), "judge": None} | parts
    return AuditFigures(texts=texts, likeness=FLAT, same=proportion(same, rows), **wanted)


def text_figures(rows: int, twins: int = 0) -> TextFigures:
    flags = {flag: proportion(twins if flag is TextFlag.NEAR_DUPLICATE else 0, rows) for flag in TextFlag}
    return TextFigures(
        n=rows,
        words=FLAT,
        distinct_words=FLAT,
        vocabulary=300,
        common_opening=proportion(rows // 10, rows),
        opening="this is a",
        flags=flags,
        name_right=proportion(0, 0),
        name_place=None,
    )


def image_gain(rows: int, *, under_half: int = 0, difference: float = 4.0) -> ImageGain:
    apart = Measured(n=rows, value=difference, low=difference - 1, high=difference + 1)
    return ImageGain(
        captions=FLAT,
        base=FLAT,
        difference=apart,
        captions_per_token=FLAT,
        base_per_token=FLAT,
        surprise_captions=FLAT,
        surprise_base=FLAT,
        under_half=proportion(under_half, rows),
    )


def claim_figures(rows: int, *, surely: float = -0.02, more: int = 0, less: int = 0, added: int = 60) -> ClaimFigures:
    return ClaimFigures(
        captions=proportion(rows // 10, 2 * rows),
        base=proportion(0, 2 * rows),
        difference=0.05,
        low=0.0,
        high=0.1,
        surely=surely,
        rows=rows,
        added=proportion(min(added, rows), rows),
        lacking=proportion(0, rows),
        captions_more=more,
        base_more=less,
        equal=rows - more - less,
        p_value=1.0,
        factors=[],
    )


def name_figures(rows: int, *, captions_alone: int, base_alone: int = 0, both: int = 0) -> NameFigures:
    counts = (both, captions_alone, base_alone, rows - both - captions_alone - base_alone)
    shown = paired_difference(*counts)
    return NameFigures(
        captions=proportion(both + captions_alone, rows),
        base=proportion(both + base_alone, rows),
        captions_alone=captions_alone,
        base_alone=base_alone,
        difference=(captions_alone - base_alone) / rows,
        low=shown.low,
        high=shown.high,
        surely=paired_difference(*counts, confidence=CONFIDENCE).low,
        p_value=0.5,
    )


def judge_figures(*, captions: int, base: int, rows: int = 200) -> JudgeFigures:
    return JudgeFigures(
        model="judge",
        n=rows,
        captions=captions,
        base=base,
        ties=rows - captions - base,
        flips=proportion(rows // 20, rows),
        unjudged=0,
        captions_share=proportion(captions, captions + base),
        p_value=0.5,
        longer_won=proportion(0, 0),
        is_teacher=False,
    )


_SPEAKERS = ("caption", "detail", "short")
