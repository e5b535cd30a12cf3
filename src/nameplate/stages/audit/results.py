"""What an audit found: every number with its denominator and interval, and the pairs it was counted from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nameplate.errors import InputError
from nameplate.statistics import wilson
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Proportion

Speaker = Literal["caption", "detail", "short"]
"""Who says a text: the data set, or the base when asked in detail or for one sentence."""


@dataclass(frozen=True)
class AuditChoices:
    """How an audit is done: rows to look at, seed of the draw, and a judge's model; none: nobody is asked."""

    rows: int = 200
    seed: int = 0
    judge: str | None = None


class AuditVerdict(StrEnum):
    """What to do with the captions."""

    WORTH_TEACHING = "worth_teaching"
    ONLY_THE_NAME = "only_the_name"
    DO_NOT_TRAIN = "do_not_train"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """0: there is something to teach; 1: do not train on them, or not yet."""
        return 0 if self in (AuditVerdict.WORTH_TEACHING, AuditVerdict.ONLY_THE_NAME) else 1


class AuditReason(StrEnum):
    """What speaks for or against the captions."""

    TOO_FEW_ROWS = "too_few_rows"
    NAMES_UNKNOWN_TO_BASE = "names_unknown_to_base"
    CAPTIONS_SAY_MORE = "captions_say_more"
    JUDGE_PREFERS_CAPTIONS = "judge_prefers_captions"
    CAPTIONS_CONTRADICTED = "captions_contradicted"
    CAPTIONS_IGNORE_IMAGE = "captions_ignore_image"
    CAPTIONS_ALIKE = "captions_alike"
    BASE_SAYS_MORE = "base_says_more"
    BASE_SAYS_THE_SAME = "base_says_the_same"
    CAPTIONS_ADD_NOTHING = "captions_add_nothing"
    JUDGE_PREFERS_BASE = "judge_prefers_base"


Side = Literal["for", "against", "open"]
"""Whether a reason speaks for training on the captions, against it, or for looking at more."""


class TextFlag(StrEnum):
    """What can be wrong with a text, or should not be in one."""

    CUT_OFF = "cut_off"
    REFUSAL = "refusal"
    REPEATS = "repeats"
    LEAKED = "leaked"
    WRONG_LANGUAGE = "wrong_language"
    LINK_OR_PRICE = "link_or_price"
    UNSEEABLE = "unseeable"
    NEAR_DUPLICATE = "near_duplicate"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """A median with its 95 % interval, of `n` values; too few values (under six) bound nothing."""

    n: int
    value: float
    low: float | None
    high: float | None


class TextFigures(_Frozen):
    """The texts of one speaker."""

    n: int
    words: Measured
    distinct_words: Measured
    """Different words of one text."""
    vocabulary: int
    """Different words of all texts together."""
    common_opening: Proportion
    """Texts that begin with the most frequent first three words, names left out."""
    opening: str
    flags: dict[TextFlag, Proportion]
    name_right: Proportion
    """Of the rows with a name: texts that say it, and no other."""
    name_place: float | None
    """Median place of the name, as a share of the text's words; none: it hardly occurs."""


class NameFigures(_Frozen):
    """What captions and base say of the row's name; the base is right when any of its three answers is."""

    captions: Proportion
    base: Proportion
    captions_alone: int
    """Rows that the caption names and the base does not."""
    base_alone: int
    difference: float
    low: float
    high: float
    surely: float
    """Lower end of the interval that the verdict asks for."""
    p_value: float
    """Exact McNemar, two-sided."""


class ImageGain(_Frozen):
    """What a text says of its own image, as the base reads it: nats by which the image makes it less surprising.

    Registered names are left out. Totals are of whole texts.
    """

    captions: Measured
    base: Measured
    difference: Measured
    """Captions minus base, row by row."""
    captions_per_token: Measured
    base_per_token: Measured
    surprise_captions: Measured
    """Nats a token, given the image."""
    surprise_base: Measured
    under_half: Proportion
    """Rows whose caption says less than half of what the base's answer says of the image."""


class FactorFigures(_Frozen):
    """One factor's claims, and those where the base, given other values to choose from, takes another."""

    factor: str
    captions: Proportion
    base: Proportion


class ClaimFigures(_Frozen):
    """What the texts state of their images and can be checked there."""

    captions: Proportion
    """Claims of captions that the base contradicts."""
    base: Proportion
    """Claims of the base's own detailed answers that it contradicts when it has to choose."""
    difference: float
    low: float
    high: float
    """95 % interval of the difference of the two shares; rows are resampled, with all their claims."""
    surely: float
    """Lower end of the interval that the verdict asks for."""
    rows: int
    """Rows in which both state something."""
    added: Proportion
    """Of those: rows whose caption states what stands up and is not in the base's answer."""
    lacking: Proportion
    """Of those: rows whose caption lacks what stands up in the base's answer."""
    captions_more: int
    """Rows whose caption states more that stands up than the base's answer."""
    base_more: int
    equal: int
    p_value: float
    """Exact sign test over the rows that differ."""
    factors: list[FactorFigures]


class JudgeFigures(_Frozen):
    """What a vision-language model prefers, asked twice about every pair, with the texts in both orders."""

    model: str
    n: int
    captions: int
    """Pairs in which the caption won in both orders."""
    base: int
    ties: int
    """All other judged pairs: called equal, or flipped."""
    flips: Proportion
    """Pairs in which the judge took the text in the same place twice."""
    unjudged: int
    """Pairs with an answer that could not be read."""
    captions_share: Proportion
    """Captions that won, of the pairs that either side won."""
    p_value: float
    """Exact sign test over these pairs."""
    longer_won: Proportion
    """Of the pairs that either side won: those won by the longer text."""
    is_teacher: bool
    """Whether the judge wrote the captions."""


class Finding(_Frozen):
    """One reason of the verdict, in words."""

    reason: AuditReason
    side: Side
    sentence: str


class Pair(_Frozen):
    """One row: the caption, and what the base says of its image."""

    row_id: str
    name: str
    title: str
    image_sha256: str
    image_ext: str
    caption: str
    detail: str
    short: str
    named: str
    """The base's answer when asked for the name."""
    caption_right: bool | None
    base_right: bool | None
    """None: the row has no name."""


class AuditFigures(_Frozen):
    """All that is counted."""

    texts: dict[Speaker, TextFigures]
    likeness: Measured
    """Of caption and detailed answer, names left out: 100 is the same text."""
    same: Proportion
    """Rows in which the two are nearly the same."""
    names: NameFigures | None
    """None: no row has a name."""
    gain: ImageGain
    claims: ClaimFigures
    judge: JudgeFigures | None
    """None: nobody was asked."""


class AuditSummary(_Frozen):
    """`audit/audit.json`."""

    nameplate: str
    """Version of the package."""
    base: str
    weights: str
    """Fingerprint of the base's weights."""
    captions_by: str
    """Who wrote the captions: the teacher's model, or "table"."""
    rows: int
    total: int
    """Rows, of so many clean captions."""
    seed: int
    prompts: dict[str, str]
    """What the base was asked."""
    verdict: AuditVerdict
    sentence: str
    findings: list[Finding]
    figures: AuditFigures
    pairs: list[Pair]


def proportion(count: int, n: int) -> Proportion:
    """A share with its 95 % Wilson interval."""
    share = wilson(count, n)
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def read_audit(run: RunDirectory) -> AuditSummary:
    """What the last audit of a run found.

    Raises:
        InputError: there was none, or its file is not as written.
    """
    path = run.audit_path
    try:
        return AuditSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(str(path), found=f"cannot be read ({type(error).__name__})", fix="run audit first") from None
