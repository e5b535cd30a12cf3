"""The verdict as a truth table, on figures made by hand; and that a small sample never makes one."""

from __future__ import annotations

import pytest

from nameplate.stages.audit.results import AuditFigures, AuditReason, AuditVerdict
from nameplate.stages.audit.verdict import conclude

from .audit_figures import audit_figures, claim_figures, image_gain, judge_figures, name_figures

R, V = AuditReason, AuditVerdict
UNKNOWN = name_figures(200, captions_alone=60)

TABLE = [
    (audit_figures(), V.INCONCLUSIVE, set()),
    (audit_figures(names=UNKNOWN), V.WORTH_TEACHING, {R.NAMES_UNKNOWN_TO_BASE}),
    # Ten points are asked for, surely: 28 of 200 are 14 points, and too few.
    (audit_figures(names=name_figures(200, captions_alone=28)), V.INCONCLUSIVE, set()),
    (audit_figures(names=name_figures(200, captions_alone=90, base_alone=60)), V.INCONCLUSIVE, set()),
    (audit_figures(names=UNKNOWN, same=200), V.WORTH_TEACHING, {R.NAMES_UNKNOWN_TO_BASE, R.BASE_SAYS_THE_SAME}),
    (
        audit_figures(names=UNKNOWN, gain=image_gain(200, under_half=150)),
        V.ONLY_THE_NAME,
        {R.NAMES_UNKNOWN_TO_BASE, R.CAPTIONS_IGNORE_IMAGE},
    ),
    (audit_figures(gain=image_gain(200, under_half=150)), V.DO_NOT_TRAIN, {R.CAPTIONS_IGNORE_IMAGE}),
    (audit_figures(gain=image_gain(200, under_half=105)), V.INCONCLUSIVE, set()),
    (audit_figures(claims=claim_figures(200, surely=0.06)), V.DO_NOT_TRAIN, {R.CAPTIONS_CONTRADICTED}),
    (audit_figures(claims=claim_figures(200, surely=0.04)), V.INCONCLUSIVE, set()),
    (audit_figures(claims=claim_figures(200, less=80, more=20)), V.DO_NOT_TRAIN, {R.BASE_SAYS_MORE}),
    (audit_figures(claims=claim_figures(200, less=20, more=80)), V.WORTH_TEACHING, {R.CAPTIONS_SAY_MORE}),
    (audit_figures(claims=claim_figures(200, less=30, more=40)), V.INCONCLUSIVE, set()),
    (audit_figures(twins=160), V.DO_NOT_TRAIN, {R.CAPTIONS_ALIKE}),
    (audit_figures(same=160), V.DO_NOT_TRAIN, {R.BASE_SAYS_THE_SAME}),
    (
        audit_figures(claims=claim_figures(200, added=4), gain=image_gain(200, difference=-2.0)),
        V.DO_NOT_TRAIN,
        {R.CAPTIONS_ADD_NOTHING},
    ),
    # No claim that the lexicon holds, but much that the image explains: the lexicon is not all there is to say.
    (audit_figures(claims=claim_figures(200, added=4)), V.INCONCLUSIVE, set()),
    (audit_figures(judge=judge_figures(captions=20, base=80)), V.DO_NOT_TRAIN, {R.JUDGE_PREFERS_BASE}),
    (audit_figures(judge=judge_figures(captions=80, base=20)), V.WORTH_TEACHING, {R.JUDGE_PREFERS_CAPTIONS}),
    (audit_figures(judge=judge_figures(captions=58, base=42)), V.INCONCLUSIVE, set()),
    (
        audit_figures(judge=judge_figures(captions=80, base=20), twins=160),
        V.INCONCLUSIVE,
        {R.JUDGE_PREFERS_CAPTIONS, R.CAPTIONS_ALIKE},
    ),
]


@pytest.mark.parametrize(("figures", "verdict", "reasons"), TABLE)
def test_the_verdict_follows_from_the_figures(
    figures: AuditFigures, verdict: AuditVerdict, reasons: set[AuditReason]
) -> None:
    concluded = conclude(figures)
    assert {finding.reason for finding in concluded.findings} == reasons
    assert concluded.verdict is verdict


@pytest.mark.parametrize("rows", [1, 5, 20, 49])
@pytest.mark.parametrize("claims", [{"surely": 0.9}, {"less": 1}, {"more": 1}])
def test_no_verdict_is_ever_given_on_few_rows(rows: int, claims: dict[str, float]) -> None:
    extreme = {key: rows if value == 1 else value for key, value in claims.items()}
    figures = audit_figures(
        rows=rows,
        names=name_figures(rows, captions_alone=rows),
        claims=claim_figures(rows, **extreme),  # type: ignore[arg-type]  # whole numbers where wanted
        gain=image_gain(rows, under_half=rows),
        twins=rows,
    )
    concluded = conclude(figures)
    assert concluded.verdict is AuditVerdict.INCONCLUSIVE
    assert concluded.findings[0].reason is AuditReason.TOO_FEW_ROWS


def test_only_something_to_teach_exits_with_zero() -> None:
    assert {verdict: verdict.exit_code for verdict in AuditVerdict} == {
        AuditVerdict.WORTH_TEACHING: 0,
        AuditVerdict.ONLY_THE_NAME: 0,
        AuditVerdict.DO_NOT_TRAIN: 1,
        AuditVerdict.INCONCLUSIVE: 1,
    }


def test_chance_alone_seldom_makes_a_verdict() -> None:
    """2,000 audits in which captions and base differ by coin throws only: one in twenty may be wrong, at most."""
    import numpy as np

    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(2000):
        more, won = int(rng.binomial(60, 0.5)), int(rng.binomial(60, 0.5))
        figures = audit_figures(
            claims=claim_figures(200, more=more, less=60 - more),
            judge=judge_figures(captions=won, base=60 - won),
            gain=image_gain(200, under_half=int(rng.binomial(200, 0.5))),
            twins=int(rng.binomial(200, 0.5)),
            same=int(rng.binomial(200, 0.5)),
        )
        wrong += bool(conclude(figures).findings)
    assert wrong / 2000 < 0.05
