"""What scoring finds out: `score/scores.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nameplate.records import SplitName
from nameplate.summary.base import Figures, Outcome, Proportion

CheckKind = Literal["batching", "weights", "image_used", "image_tokens", "cut_off", "empty", "finite", "engine"]
CheckOutcome = Literal["passed", "warned", "skipped"]


class Metrics(Figures):
    """How one model answered one question on one split."""

    accuracy: Proportion
    """The right name and no other."""
    wrong_name: Proportion
    """Another registered name."""
    no_name: Proportion
    """No registered name at all, or an ambiguous one."""
    macro_accuracy: float
    """Mean over names of their own accuracy."""
    num_names: int
    strict: Proportion | None = None
    """The whole answer is the right name, but for a wrapper such as `Brand:` or a final stop."""
    mention_any: Proportion | None = None
    """The right name is claimed, whatever else is: the lenient bound."""
    cut_off: Proportion | None = None
    """Answers that the token limit stopped."""
    unscored: int = 0
    """Rows that got no answer (a server failed, a logit was not a number). They are in no denominator of this value."""
    macro_low: float | None = None
    macro_high: float | None = None
    """95 % interval of `macro_accuracy`, by a bootstrap within names."""


class ClosedScores(Figures):
    """One model choosing among all names that the split has or training had, by the likelihood of the whole name."""

    names: int
    top1: Proportion
    top5: Proportion
    corrected_top1: Proportion
    """The same with what the model would say of a grey image taken off."""
    corrected_top5: Proportion
    by: Literal["likelihood", "corrected"] = "corrected"
    """Which of the two is right more often on validation, and is to be read: taking off what a model says of a grey
    image helps one that was not trained on these names, and can harm one that was."""
    sentence: str = ""
    """Whether it knows what it does not say, by a paired test against its own answers; "" where that was not asked."""

    @property
    def picked(self) -> Proportion:
        """The right name came first."""
        return self.top1 if self.by == "likelihood" else self.corrected_top1

    @property
    def in_five(self) -> Proportion:
        """The right name was among the first five."""
        return self.top5 if self.by == "likelihood" else self.corrected_top5


class Memorisation(Figures):
    """Rows that the model was trained on, against rows that it was not: the headline question."""

    train: Proportion
    """On a sample of training rows, by name as validation has them."""
    validation: Proportion
    gap: float
    """Training minus validation."""
    low: float
    high: float
    """95 % Newcombe interval of the gap."""
    sentence: str


class GuardQuestion(Figures):
    """What a model still knows of a column that is not the name."""

    column: str
    question: str
    right: Proportion


class GuardScores(Figures):
    """What a model could do before it learned names, and whether it still can."""

    questions: list[GuardQuestion]
    words: float
    """Median words of its answers to the detail question."""
    distinct_pairs: float
    """Distinct pairs of adjacent words, of all of them: 1 where no pair comes twice."""
    repeating: Proportion
    """Answers to the detail question that repeat themselves, by the rules that clean captions."""
    overclaim: Proportion | None = None
    """Images without a name of which it claims one; none: not asked."""
    overclaimed: dict[str, int] = Field(default_factory=dict)
    """The names it claimed of them, most often first."""
    drawn: bool = True
    """Whether those images were drawn for this: greys, gradients, noise, stripes, checks and discs."""
    sentences: list[str] = Field(default_factory=list)
    """What became worse than the base, in words; empty where nothing did, and for the base itself."""


class CheckpointScores(Figures):
    """One model: the untrained base (`epoch` 0) or a checkpoint."""

    name: str
    epoch: int
    train_loss: float | None
    """Mean next-token loss per answer token over the epochs since the checkpoint before; none for the base."""
    loss: dict[SplitName, float]
    """Next-token loss per answer token, by split."""
    metrics: dict[SplitName, dict[str, Metrics]]
    """By split, then by question; the test split only of models that were let look at it."""
    closed: dict[SplitName, ClosedScores] = Field(default_factory=dict)
    """Choosing among names, by split; empty where it was not asked."""
    memorisation: Memorisation | None = None
    guards: GuardScores | None = None


class Comparison(Figures):
    """Two models on the same rows of one split, one question."""

    split: SplitName
    prompt: str
    before: str
    after: str
    n: int
    fixed: int
    """Wrong before, right after."""
    regressed: int
    """Right before, wrong after."""
    p_value: float
    """Exact, paired, two-sided, products being exchanged as a whole: McNemar's where every product has one image."""
    difference: float
    """Accuracy after minus before."""
    low: float
    high: float
    """95 % interval of the difference, see `statistics.difference_interval`."""
    outcome: Outcome
    sentence: str


class NameScore(Figures):
    """One name on the test split, headline question."""

    name: str
    train: int
    test: int
    before: int
    """Right answers of the base."""
    after: int
    """Right answers of the chosen checkpoint."""


class SelfCheck(Figures):
    """Something that scoring made sure of before it believed an answer. One that fails outright stops the run."""

    kind: CheckKind
    model: str
    """Name of the checkpoint; "" of all of them."""
    outcome: CheckOutcome
    sentence: str


class Look(Figures):
    """One model's answers to the test split being judged."""

    when: str
    """UTC, ISO 8601."""
    run: str
    checkpoint: str
    weights: str


class TestLooks(Figures):
    """How often this very test set was looked at, by all runs that share the store."""

    test_set: str
    """Fingerprint of its rows."""
    looks: list[Look]
    """Distinct models, the first time of each."""
    sentence: str


class ScoreSummary(Figures):
    """`score/scores.json`: everything that `score` found out."""

    headline: str
    """The question that decides."""
    checkpoints: list[CheckpointScores]
    """The base first, then by epoch."""
    selected: str
    """Name of the earliest checkpoint within one standard error of the best on validation."""
    comparison: Comparison
    """Base against selected, on the test split."""
    names: list[NameScore]
    matcher: str = ""
    """Fingerprint of the names and rules by which the answers were judged; two runs compare when it is the same."""
    questions: dict[str, str] = Field(default_factory=dict)
    """What was asked, in full, by its name; empty in runs of older versions."""
    checks: list[SelfCheck] = Field(default_factory=list)
    looks: TestLooks | None = None
    notes: list[str] = Field(default_factory=list)
    """What must be known to read these scores rightly, in words: few rows, one name, what was not asked."""
    choice: str = ""
    """Why this checkpoint was chosen and what became of later ones, in words; "" in runs of older versions."""
