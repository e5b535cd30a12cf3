"""What a probe found: every number with its denominator and interval."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nameplate.errors import InputError
from nameplate.models.probing.view import View
from nameplate.records import SplitName
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Proportion


@dataclass(frozen=True)
class ProbeChoices:
    """How a probe is done: most training images to learn from, whether test is read, and text in the images."""

    rows: int = 5000
    test: bool = False
    ocr: bool = False
    seed: int = 0


class Level(StrEnum):
    """How far a name comes on its way from the image to the answer."""

    EYE = "eye"
    PROJECTOR = "projector"
    ANSWER = "answer"
    SAYS = "says"


class Baseline(StrEnum):
    """What is compared with what can be read."""

    MAJORITY = "majority"
    """The commonest name, always; its five are the five commonest."""
    TEXT_ONLY = "text_only"
    """The model's answer to the question without any image."""
    BLANK = "blank"
    """Its answer about a grey image."""
    TEXT_IN_IMAGE = "text_in_image"
    """The name among the words that can be read in the image, by another program."""
    SAYS = "says"
    """Its answer about the image."""
    CLOSED = "closed"
    """The most probable of all names as its answer."""
    CLOSED_LESS_PRIOR = "closed_less_prior"
    """The same, each name's probability divided by that before a grey image."""


class Advice(StrEnum):
    """What to thaw."""

    THAW_LANGUAGE = "thaw_language"
    THAW_PROJECTOR = "thaw_projector"
    THAW_VISION = "thaw_vision"
    LITTLE_TO_GAIN = "little_to_gain"
    CANNOT_TELL = "cannot_tell"


class Reason(StrEnum):
    """What speaks for the advice, or against taking it for more than it is."""

    TOO_FEW_ROWS = "too_few_rows"
    EYE_SEPARATES = "eye_separates"
    EYE_POOR = "eye_poor"
    EYE_UNCLEAR = "eye_unclear"
    PROJECTOR_KEEPS = "projector_keeps"
    PROJECTOR_LOSES = "projector_loses"
    PROJECTOR_UNCLEAR = "projector_unclear"
    LANGUAGE_SAYS = "language_says"
    LANGUAGE_LOSES = "language_loses"
    LANGUAGE_UNCLEAR = "language_unclear"
    NOT_AT_ANSWER = "not_at_answer"
    AT_ANSWER_UNSAID = "at_answer_unsaid"
    AT_CEILING = "at_ceiling"
    ANSWERS_BLINDLY = "answers_blindly"
    MORE_ROWS_HELP = "more_rows_help"
    MORE_RESOLUTION = "more_resolution"
    FEW_PER_NAME = "few_per_name"
    VIEW_MISSING = "view_missing"


FindingKind = Literal["limit", "fine", "open", "caution"]
"""limit: something is lost here; fine: nothing is; open: it cannot be told; caution: read the figures with this."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Macro(_Frozen):
    """Mean over names of their own shares, with its 95 % interval."""

    value: float
    low: float
    high: float


class Scored(_Frozen):
    """How often the right name came first, and among the first five."""

    top1: Proportion
    top5: Proportion | None
    """None: there is no order, or there are hardly more than five names."""
    macro: Macro


class ReadingFigures(_Frozen):
    """One reader on one view."""

    view: View
    reader: Literal["nearest", "linear"]
    setting: float
    """Neighbours, or penalty; chosen in folds of the training rows."""
    folds: Proportion
    """Training rows read right in folds; this chooses between readers and views."""
    scored: Scored
    """On the rows that nothing was fitted to."""


class BaselineFigures(_Frozen):
    """One baseline on the same rows."""

    baseline: Baseline
    answer: str | None
    """What is answered whatever the image is; none: it depends on the image."""
    scored: Scored


class GapName(StrEnum):
    """Two shares of the same rows."""

    PROJECTOR = "projector"
    """Read from the eye, less read from the projector."""
    CARRIED = "carried"
    """Read from what the language model is given, less read where its answer begins."""
    UNSAID = "unsaid"
    """Read where the answer begins, less said."""
    LANGUAGE = "language"
    """Read from what the language model is given, less said."""
    CEILING = "ceiling"
    """The most that was read, less said."""
    SEES = "sees"
    """Said of the image, less said of a grey one."""
    ROWS = "rows"
    """Read from the eye with all training rows, less with half of them."""


class Gap(_Frozen):
    """By how much one share exceeds another on the same rows; products, not rows, are resampled."""

    value: float
    low: float
    high: float
    """95 %."""
    surely_over: float
    surely_under: float
    """Bounds of the wider interval that the advice asks for."""


class Sure(_Frozen):
    """Bounds of a level's share that the advice asks for."""

    low: float
    high: float


class Slice(_Frozen):
    """Some of the rows."""

    kind: Literal["training images of the name", "text in the image"]
    label: str
    names: int
    rows: int
    levels: dict[Level, Proportion]


class NameFigures(_Frozen):
    """One name: training images, rows that were read, and those that came right at each level."""

    name: str
    train: int
    rows: int
    levels: dict[Level, int]


class Evidence(_Frozen):
    """All that the advice is made from."""

    rows: int
    names: int
    median_per_name: float
    """Training images of the median name."""
    levels: dict[Level, Proportion]
    """A level that the model's family does not show is left out; what the model says is always there."""
    sure: dict[Level, Sure]
    majority: Proportion
    """Right when the commonest name is always said."""
    gaps: dict[GapName, Gap]
    shrunk: float | None
    """How many times smaller the sides of an image of the commonest size are made for the model; none: not known."""
    tiles: int | None = None
    """Tiles that the recipe allows; none: not a matter of this family."""


class Finding(_Frozen):
    """One reason, in words."""

    reason: Reason
    kind: FindingKind
    sentence: str


class RowCounts(_Frozen):
    """What was looked at."""

    train: int
    """Training rows that were fitted to,"""
    train_total: int
    """of so many,"""
    tried: int
    """rows that were read,"""
    tried_total: int
    """of so many: the others' names have too few training images."""
    groups: int
    """Products among the read rows."""
    images: int
    """Different images that the model looked at."""
    left_out: list[str]
    """Names with too few training images."""


class ProbeSummary(_Frozen):
    """`probe/probe.json`."""

    nameplate: str
    """Version of the package."""
    base: str
    weights: str
    """Fingerprint of the base's weights."""
    split: str
    """Fingerprint of the split that was read."""
    read: SplitName
    """The rows that the figures are of."""
    prompt: str
    counts: RowCounts
    readings: list[ReadingFigures]
    ceiling: ReadingFigures
    """The reading that is best in the folds."""
    levels: dict[Level, ReadingFigures]
    """The better reader of each level but the last, by the folds."""
    baselines: list[BaselineFigures]
    evidence: Evidence
    slices: list[Slice]
    by_name: list[NameFigures]
    advice: Advice
    sentence: str
    findings: list[Finding]
    recipe: str
    """What to write under `train`; empty: nothing is advised."""


def read_probe(run: RunDirectory) -> ProbeSummary:
    """What the last probe of a run found.

    Raises:
        InputError: there was none, or its file is not as written.
    """
    path = run.probe_path
    try:
        return ProbeSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(str(path), found=f"cannot be read ({type(error).__name__})", fix="run probe first") from None
