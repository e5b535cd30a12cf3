"""What a probe found before training, beside what training then did: was its advice followed, and borne out?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nameplate.errors import InputError
from nameplate.records import ComponentName
from nameplate.report.formats import clip, interval, percent
from nameplate.report.verdict import scores_of
from nameplate.stages.probe import ProbeSummary, read_probe
from nameplate.stages.probe.results import Advice, Baseline, Level, ReadingFigures, Scored
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Proportion, RunSummary

LEVELS: Final[Mapping[Level, str]] = {
    Level.EYE: "read from the eye",
    Level.PROJECTOR: "read from the projector",
    Level.ANSWER: "read where the answer begins",
    Level.SAYS: "said by the model",
}
BASELINES: Final[Mapping[Baseline, str]] = {
    Baseline.MAJORITY: "the commonest name, always",
    Baseline.TEXT_ONLY: "said without an image",
    Baseline.BLANK: "said of a grey image",
    Baseline.TEXT_IN_IMAGE: "among words in the image",
    Baseline.SAYS: "said of the image",
    Baseline.CLOSED: "chosen among the names",
    Baseline.CLOSED_LESS_PRIOR: "chosen, less the model's bias",
}
WORDS: Final[Mapping[Advice, str]] = {
    Advice.THAW_LANGUAGE: "Thaw the language side",
    Advice.THAW_PROJECTOR: "Thaw the projector",
    Advice.THAW_VISION: "Thaw the eye",
    Advice.LITTLE_TO_GAIN: "Little to gain",
    Advice.CANNOT_TELL: "Cannot tell",
}
SIDES: Final[Mapping[ComponentName, str]] = {
    "vision": "the eye",
    "projector": "the projector",
    "language": "the language side",
}
ADVISED: Final[Mapping[Advice, ComponentName]] = {
    Advice.THAW_LANGUAGE: "language",
    Advice.THAW_PROJECTOR: "projector",
    Advice.THAW_VISION: "vision",
}
"""The component that an advice is about."""
LONGEST: Final = 60


@dataclass(frozen=True)
class Row:
    """One way to a name."""

    label: str
    how: str
    scored: Scored


@dataclass(frozen=True)
class Probed:
    """The section."""

    found: ProbeSummary
    word: str
    levels: tuple[tuple[str, Proportion], ...]
    readings: tuple[Row, ...]
    baselines: tuple[Row, ...]
    after: str
    """What training then did, in words."""


def build_probe(summary: RunSummary, run: RunDirectory) -> Probed | None:
    """From the run's probe; none: there was none, or it looked at another split."""
    if not run.probe_path.exists():
        return None
    try:
        found = read_probe(run)
    except InputError:
        # A version that counted differently wrote it; the page of a run does not fail for it.
        return None
    split = run.manifest.stages.get("split")
    if split is None or split.fingerprint != found.split:
        return None
    return Probed(
        found=found,
        word=WORDS[found.advice],
        levels=tuple(
            (LEVELS[level], found.evidence.levels[level]) for level in Level if level in found.evidence.levels
        ),
        readings=tuple(_reading(each) for each in found.readings),
        baselines=tuple(
            Row(BASELINES[each.baseline], clip(each.answer or "", LONGEST), each.scored) for each in found.baselines
        ),
        after=in_words(found, summary),
    )


def in_words(found: ProbeSummary, summary: RunSummary) -> str:
    """Whether the run did what was advised, and how far it came towards what could be read before."""
    learned = [row.component for row in summary.train.components if row.trainable]
    trained = f"This run trained {', '.join(learned) or 'nothing'}"
    metrics = scores_of(summary.score, summary.score.selected).metrics.get(found.read, {})
    reached = metrics["name"].accuracy if "name" in metrics else None
    if reached is None:
        return f"{trained}. What it says when it is asked for the name was not scored."
    says, ceiling = found.evidence.levels[Level.SAYS], found.ceiling.scored.top1
    facts = (
        f"Asked for the name, the chosen checkpoint is right on {_share(reached)} of the {found.read} rows; before "
        f"training it was {_share(says)}, and {_share(ceiling)} could be read from the frozen model."
    )
    advised = ADVISED.get(found.advice)
    if advised is None:
        return f"{trained}. {facts}"
    if advised not in learned:
        return (
            f"{trained}, and left frozen what the probe advises to thaw, so its advice was not put to the test. {facts}"
        )
    if reached.low > says.high:
        return (
            f"{trained}, as the probe advises, and it helped: the advice is borne out. {facts} Whether a run that "
            f"leaves {SIDES[advised]} frozen does as well, nameplate compare of the two tells."
        )
    if reached.high < says.low:
        return f"{trained}, as the probe advises, and the answers got worse: the advice is contradicted. {facts}"
    return f"{trained}, as the probe advises, and no gain is shown: the advice is not borne out. {facts}"


def _reading(reading: ReadingFigures) -> Row:
    places = {
        "eye": "vision tower, mean of patches",
        "eye_summary": "vision tower, class token",
        "projector": "projector, mean of tokens",
        "answer": "last token of the question",
    }
    how = f"{reading.setting:.0f} nearest" if reading.reader == "nearest" else f"linear, penalty {reading.setting:g}"
    return Row(places[reading.view.value], how, reading.scored)


def _share(share: Proportion) -> str:
    return f"{percent(share.value)} ({interval(share.low, share.high)})"
