"""The advice: which component to thaw, and why. Pure.

    too few rows                                        cannot tell, whatever the figures are
    hardly a name is read anywhere, or only by chance   thaw the eye: more resolution, more rows
    the projector loses more than the language model    thaw the projector
    the language model leaves unsaid what it is given   thaw the language side
    the answer is close to the most that can be read    little to gain
    anything else                                       cannot tell: the intervals are too wide

Something is said of a figure when the whole of its interval is beyond the threshold. What can be read at any level has
passed the eye, so the eye is judged by the best of all levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from nameplate.stages.probe.results import Advice, Evidence, Finding, FindingKind, GapName, Level, Reason
from nameplate.stages.probe.thresholds import (
    CLOSE,
    EYE_ENOUGH,
    EYE_POOR,
    FEWEST_ROWS,
    HARDLY_MORE,
    LANGUAGE_LOSS,
    MANY_PER_NAME,
    PROJECTOR_LOSS,
    SHRUNK,
    STILL_GROWING,
)
from nameplate.summary import Proportion


class Conclusion(NamedTuple):
    """The advice, its reasons, both in one sentence, and what to write into the recipe."""

    advice: Advice
    findings: list[Finding]
    sentence: str
    recipe: str


WORDS: Final = {
    Advice.THAW_LANGUAGE: "thaw the language side (LoRA); the eye is not the limit",
    Advice.THAW_PROJECTOR: "thaw the projector",
    Advice.THAW_VISION: "the eye is the limit; thaw it, give it more resolution or more rows",
    Advice.LITTLE_TO_GAIN: "there is little to gain by training on these names",
    Advice.CANNOT_TELL: "which part to thaw cannot be told from this",
}
GIVEN: Final = (Level.PROJECTOR, Level.EYE, Level.ANSWER)
"""Where what the language model is given is read: the first of these that the model shows."""
RECIPES: Final = {
    Advice.THAW_LANGUAGE: (
        "{vision: {mode: frozen}, projector: {mode: full, lr: 1.0e-4}, "
        "language: {mode: lora, lr: 1.0e-4, rank: 64, alpha: 128}}"
    ),
    Advice.THAW_PROJECTOR: "{preset: projector-only}",
    Advice.THAW_VISION: "{preset: recommended}",
    Advice.LITTLE_TO_GAIN: "",
    Advice.CANNOT_TELL: "",
}
"""Learning rates of the presets, which suit models of billions of parameters."""


def conclude(evidence: Evidence) -> Conclusion:
    """Weigh the evidence."""
    findings = [*_few_rows(evidence), *_eye(evidence), *_projector(evidence), *_language(evidence)]
    advice = _weigh(evidence, {finding.reason for finding in findings})
    if advice is Advice.LITTLE_TO_GAIN:
        gap = _points(evidence, GapName.CEILING)
        sentence = f"the most that can be read exceeds what the model says by {gap}"
        findings.append(_finding(Reason.AT_CEILING, "fine", sentence))
    findings += _cautions(evidence)
    return Conclusion(advice, findings, _sentence(evidence, advice), RECIPES[advice])


def _weigh(evidence: Evidence, reasons: set[Reason]) -> Advice:
    if Reason.TOO_FEW_ROWS in reasons:
        return Advice.CANNOT_TELL
    if Reason.EYE_POOR in reasons:
        return Advice.THAW_VISION
    losses: dict[Advice, float] = {}
    if Reason.LANGUAGE_LOSES in reasons:
        # What chance gives is not given by the image, so it is not lost.
        given = evidence.levels[_given(evidence)].value - evidence.majority.value
        losses[Advice.THAW_LANGUAGE] = min(evidence.gaps[GapName.LANGUAGE].value, given)
    if Reason.PROJECTOR_LOSES in reasons:
        losses[Advice.THAW_PROJECTOR] = evidence.gaps[GapName.PROJECTOR].value
    if losses:
        return max(losses, key=lambda advice: losses[advice])
    ceiling = evidence.gaps.get(GapName.CEILING)
    if ceiling is not None and ceiling.surely_under < CLOSE:
        return Advice.LITTLE_TO_GAIN
    return Advice.CANNOT_TELL


def _given(evidence: Evidence) -> Level:
    """Where what the language model is given is read."""
    return next(level for level in GIVEN if level in evidence.levels)


def _few_rows(evidence: Evidence) -> Iterator[Finding]:
    if evidence.rows < FEWEST_ROWS:
        few = f"only {evidence.rows} rows were read; no advice is given on fewer than {FEWEST_ROWS}"
        yield _finding(Reason.TOO_FEW_ROWS, "open", few)


def _eye(evidence: Evidence) -> Iterator[Finding]:
    best = max(evidence.levels, key=lambda level: evidence.levels[level].value)
    share = _count(evidence.levels[best])
    where = "the eye" if best is Level.EYE else f"the eye, judged by what passes it ({best.value}),"
    common = f"the commonest name alone gets {_count(evidence.majority)}"
    if all(bounds.high < EYE_POOR for bounds in evidence.sure.values()):
        yield _finding(Reason.EYE_POOR, "limit", f"{where} separates no more than {share}")
        yield from _resolution(evidence)
    elif all(bounds.high < evidence.majority.value + HARDLY_MORE for bounds in evidence.sure.values()):
        yield _finding(Reason.EYE_POOR, "limit", f"{where} separates no more than {share}, and {common}")
        yield from _resolution(evidence)
    elif any(bounds.low > max(EYE_ENOUGH, evidence.majority.value) for bounds in evidence.sure.values()):
        yield _finding(Reason.EYE_SEPARATES, "fine", f"{where} separates {share}")
    else:
        unclear = f"{where} separates {share}, and {common}; whether that is its limit cannot be told"
        yield _finding(Reason.EYE_UNCLEAR, "open", unclear)
        yield from _resolution(evidence)


def _resolution(evidence: Evidence) -> Iterator[Finding]:
    if evidence.shrunk is not None and evidence.shrunk > SHRUNK:
        more = f"; raise model.max_tiles above {evidence.tiles}" if evidence.tiles is not None else ""
        smaller = f"most images are made {evidence.shrunk:.1f} times smaller before the model sees them{more}"
        yield _finding(Reason.MORE_RESOLUTION, "limit", smaller)


def _projector(evidence: Evidence) -> Iterator[Finding]:
    gap = evidence.gaps.get(GapName.PROJECTOR)
    if gap is None:
        return
    said = (
        f"the projector keeps {_count(evidence.levels[Level.PROJECTOR])}, {_points(evidence, GapName.PROJECTOR)} less"
    )
    if gap.surely_over > PROJECTOR_LOSS:
        yield _finding(Reason.PROJECTOR_LOSES, "limit", said)
    elif gap.surely_under < PROJECTOR_LOSS:
        yield _finding(Reason.PROJECTOR_KEEPS, "fine", said)
    else:
        yield _finding(Reason.PROJECTOR_UNCLEAR, "open", f"{said}; whether it loses anything cannot be told")


def _language(evidence: Evidence) -> Iterator[Finding]:
    gap = evidence.gaps.get(GapName.LANGUAGE)
    if gap is None:
        return
    said = f"the model says {_count(evidence.levels[Level.SAYS])}, {_points(evidence, GapName.LANGUAGE)} less"
    is_given = evidence.sure[_given(evidence)].low > evidence.majority.value + LANGUAGE_LOSS
    if gap.surely_over > LANGUAGE_LOSS and is_given:
        yield _finding(Reason.LANGUAGE_LOSES, "limit", f"{said} than it is given")
        yield from _where_it_stops(evidence)
    elif gap.surely_under < LANGUAGE_LOSS:
        yield _finding(Reason.LANGUAGE_SAYS, "fine", f"{said} than it is given")
    else:
        common = f"what it is given need not be more than the commonest name, {_count(evidence.majority)}"
        wide = "whether it leaves much unsaid cannot be told"
        why = common if gap.surely_over > LANGUAGE_LOSS else wide
        yield _finding(Reason.LANGUAGE_UNCLEAR, "open", f"{said}; {why}")


def _where_it_stops(evidence: Evidence) -> Iterator[Finding]:
    carried, unsaid = evidence.gaps.get(GapName.CARRIED), evidence.gaps.get(GapName.UNSAID)
    if carried is not None and carried.surely_over > LANGUAGE_LOSS:
        lost = _points(evidence, GapName.CARRIED)
        yield _finding(Reason.NOT_AT_ANSWER, "limit", f"{lost} are lost before the place where the answer begins")
    if unsaid is not None and unsaid.surely_over > LANGUAGE_LOSS:
        there, lost = _count(evidence.levels[Level.ANSWER]), _points(evidence, GapName.UNSAID)
        knows = f"where the answer begins {there} can be read, {lost} more than is said"
        yield _finding(Reason.AT_ANSWER_UNSAID, "limit", knows)


def _cautions(evidence: Evidence) -> Iterator[Finding]:
    missing = [level.value for level in Level if level not in evidence.levels]
    if missing:
        left = f"this family does not show {' and '.join(missing)}, so nothing is said of it"
        yield _finding(Reason.VIEW_MISSING, "caution", left)
    sees = evidence.gaps.get(GapName.SEES)
    if sees is not None and sees.surely_over <= 0:
        blind = (
            f"its answers are right {_points(evidence, GapName.SEES)} more often than its one answer to a grey image: "
            "it may answer without looking"
        )
        yield _finding(Reason.ANSWERS_BLINDLY, "caution", blind)
    rows = evidence.gaps.get(GapName.ROWS)
    if rows is not None and rows.surely_over > STILL_GROWING:
        grows = f"all training rows read {_points(evidence, GapName.ROWS)} more than half of them: more rows will help"
        yield _finding(Reason.MORE_ROWS_HELP, "caution", grows)
    if evidence.median_per_name < MANY_PER_NAME:
        few = (
            f"the median name has {evidence.median_per_name:.0f} training images: what is read is a lower bound of "
            "what can be seen"
        )
        yield _finding(Reason.FEW_PER_NAME, "caution", few)


def _sentence(evidence: Evidence, advice: Advice) -> str:
    verbs = {
        Level.EYE: "the eye separates",
        Level.PROJECTOR: "the projector keeps",
        Level.ANSWER: "the last token",
        Level.SAYS: "the model says",
    }
    told: Sequence[str] = [f"{verbs[level]} {_short(evidence.levels[level])}" for level in evidence.levels]
    return f"{', '.join(told)}: {WORDS[advice]}."


def _finding(reason: Reason, kind: FindingKind, sentence: str) -> Finding:
    return Finding(reason=reason, kind=kind, sentence=sentence)


def _points(evidence: Evidence, name: GapName) -> str:
    gap = evidence.gaps[name]
    return f"{100 * gap.value:.1f} points ({100 * gap.low:.1f} to {100 * gap.high:.1f})"


def _count(share: Proportion) -> str:
    return f"{share.count} of {share.n}, {_short(share)}"


def _short(share: Proportion) -> str:
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"
