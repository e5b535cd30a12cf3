"""The verdict: what the figures say for and against training on these captions. Pure.

    too few rows                          inconclusive, whatever the figures are
    the base does not know the names      worth teaching; only the name, when the captions are worse otherwise (that
                                          they are otherwise what the base says is no harm)
    reasons on one side only              worth teaching, or do not train
    reasons on both sides, or on none     inconclusive

A reason is one when the whole of its interval is beyond its threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from nameplate.stages.audit.results import (
    AuditFigures,
    AuditReason,
    AuditVerdict,
    ClaimFigures,
    Finding,
    ImageGain,
    JudgeFigures,
    Side,
    TextFlag,
)
from nameplate.stages.audit.thresholds import CONFIDENCE, FEWEST_ROWS, HARDLY_ADDED, MORE_CONTRADICTED, MOST, NAME_GAP
from nameplate.statistics import wilson
from nameplate.summary import Proportion


class Conclusion(NamedTuple):
    """The verdict, its reasons and both in one sentence."""

    verdict: AuditVerdict
    findings: list[Finding]
    sentence: str


SENTENCES: Final = {
    AuditVerdict.WORTH_TEACHING: "These captions hold what the base does not say.",
    AuditVerdict.ONLY_THE_NAME: (
        "The base does not know the names, but describes the images better than these captions do: put the name in "
        "front of the base's own descriptions, and train on those."
    ),
    AuditVerdict.DO_NOT_TRAIN: "The base says as much or more by itself: do not train on these captions.",
    AuditVerdict.INCONCLUSIVE: "Nothing is concluded.",
}


def conclude(figures: AuditFigures) -> Conclusion:
    """Weigh the figures."""
    findings = [*_for(figures), *_against(figures)]
    verdict = _weigh(findings)
    rows = figures.texts["caption"].n
    if rows < FEWEST_ROWS:
        few = f"only {rows} rows were looked at; no verdict is given on fewer than {FEWEST_ROWS}"
        findings.insert(0, Finding(reason=AuditReason.TOO_FEW_ROWS, side="open", sentence=few))
        verdict = AuditVerdict.INCONCLUSIVE
    return Conclusion(verdict, findings, _sentence(verdict, findings))


def _weigh(findings: Sequence[Finding]) -> AuditVerdict:
    reasons_for = {each.reason for each in findings if each.side == "for"}
    reasons_against = {each.reason for each in findings if each.side == "against"}
    if AuditReason.NAMES_UNKNOWN_TO_BASE in reasons_for:
        worse = reasons_against - {AuditReason.BASE_SAYS_THE_SAME, AuditReason.CAPTIONS_ADD_NOTHING}
        return AuditVerdict.ONLY_THE_NAME if worse else AuditVerdict.WORTH_TEACHING
    if bool(reasons_for) == bool(reasons_against):
        return AuditVerdict.INCONCLUSIVE
    return AuditVerdict.WORTH_TEACHING if reasons_for else AuditVerdict.DO_NOT_TRAIN


def _for(figures: AuditFigures) -> Iterator[Finding]:
    names, claims, judge = figures.names, figures.claims, figures.judge
    if names is not None and names.surely > NAME_GAP:
        yield _finding(
            AuditReason.NAMES_UNKNOWN_TO_BASE,
            "for",
            f"captions name {_count(names.captions)} rows, the base {_count(names.base)}",
        )
    if _surely_over(claims.captions_more, claims.captions_more + claims.base_more, MOST):
        yield _finding(AuditReason.CAPTIONS_SAY_MORE, "for", _more(claims.captions_more, claims, "caption"))
    if judge is not None and _surely_over(judge.captions, judge.captions + judge.base, MOST):
        yield _finding(AuditReason.JUDGE_PREFERS_CAPTIONS, "for", _judged(judge.captions, judge, "caption"))


def _against(figures: AuditFigures) -> Iterator[Finding]:
    claims, gain, judge, same = figures.claims, figures.gain, figures.judge, figures.same
    alike = figures.texts["caption"].flags[TextFlag.NEAR_DUPLICATE]
    if claims.rows >= FEWEST_ROWS and claims.surely > MORE_CONTRADICTED:
        yield _finding(
            AuditReason.CAPTIONS_CONTRADICTED,
            "against",
            f"the base contradicts {_count(claims.captions)} claims of captions, {_count(claims.base)} of its own",
        )
    if _surely_over(gain.under_half.count, gain.under_half.n, MOST):
        yield _finding(
            AuditReason.CAPTIONS_IGNORE_IMAGE,
            "against",
            f"{_count(gain.under_half)} captions tell less than half of what the base's answer tells of the image",
        )
    if _surely_over(alike.count, alike.n, MOST):
        yield _finding(
            AuditReason.CAPTIONS_ALIKE, "against", f"{_count(alike)} captions are nearly the same as another row's"
        )
    if _surely_over(claims.base_more, claims.captions_more + claims.base_more, MOST):
        yield _finding(AuditReason.BASE_SAYS_MORE, "against", _more(claims.base_more, claims, "base's answer"))
    if _surely_over(same.count, same.n, MOST):
        sentence = f"{_count(same)} captions are nearly the base's own answer, names left out"
        yield _finding(AuditReason.BASE_SAYS_THE_SAME, "against", sentence)
    if claims.rows >= FEWEST_ROWS and _surely_under(claims.added, HARDLY_ADDED) and _tells_no_more(gain):
        sentence = f"{_count(claims.added)} captions state anything that stands up and the base does not say"
        yield _finding(AuditReason.CAPTIONS_ADD_NOTHING, "against", sentence)
    if judge is not None and _surely_over(judge.base, judge.captions + judge.base, MOST):
        yield _finding(AuditReason.JUDGE_PREFERS_BASE, "against", _judged(judge.base, judge, "base's answer"))


def _surely_over(count: int, n: int, threshold: float) -> bool:
    return wilson(count, n, confidence=CONFIDENCE).low > threshold


def _tells_no_more(gain: ImageGain) -> bool:
    """Whether captions tell of their images hardly more than the base's answers; what no lexicon holds shows here."""
    return gain.difference.high is not None and gain.difference.high < HARDLY_ADDED * gain.base.value


def _surely_under(share: Proportion, threshold: float) -> bool:
    return wilson(share.count, share.n, confidence=CONFIDENCE).high < threshold


def _finding(reason: AuditReason, side: Side, sentence: str) -> Finding:
    return Finding(reason=reason, side=side, sentence=sentence)


def _more(rows: int, claims: ClaimFigures, whose: str) -> str:
    decided = claims.captions_more + claims.base_more
    return f"the {whose} states more that stands up in {rows} of {decided} rows where the two differ"


def _judged(won: int, judge: JudgeFigures, whose: str) -> str:
    return f"{judge.model} prefers the {whose} in {won} of {judge.captions + judge.base} decided pairs"


def _count(share: Proportion) -> str:
    return f"{share.count} of {share.n} ({share.value:.0%}, {100 * share.low:.0f} to {100 * share.high:.0f})"


def _sentence(verdict: AuditVerdict, findings: Sequence[Finding]) -> str:
    if verdict is not AuditVerdict.INCONCLUSIVE or any(each.side == "open" for each in findings):
        return SENTENCES[verdict]
    why = "The reasons contradict each other" if findings else "Nothing tells the captions from what the base says"
    return f"{why}; a larger sample or a judge may."
