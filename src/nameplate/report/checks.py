"""What scoring made sure of before it believed an answer, and what it could not make sure of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from nameplate.summary import CheckKind, CheckOutcome, ScoreSummary, SelfCheck

KINDS: Final[Mapping[CheckKind, str]] = {
    "batching": "in a batch as alone",
    "weights": "weights differ",
    "image_used": "the image matters",
    "image_tokens": "images as in training",
    "cut_off": "answers end by themselves",
    "empty": "answers say something",
    "finite": "numbers are numbers",
    "engine": "the engine answers as this one",
}
OUTCOMES: Final[tuple[CheckOutcome, ...]] = get_args(CheckOutcome)


@dataclass(frozen=True)
class Check:
    """One self-check."""

    what: str
    model: str
    outcome: CheckOutcome
    sentence: str


@dataclass(frozen=True)
class Checks:
    """The section."""

    open: tuple[Check, ...]
    """Those that warn, then those that could not be made."""
    passed: tuple[Check, ...]

    @property
    def summary(self) -> str:
        """How many there are of each outcome."""
        counts = Counter(check.outcome for check in (*self.passed, *self.open))
        return ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items())

    @property
    def line(self) -> str:
        """All of them in one line, for the verdict."""
        warned = [check for check in self.open if check.outcome == "warned"]
        return f"{self.summary}. {warned[0].sentence}" if warned else f"{self.summary}."


def build_checks(score: ScoreSummary) -> Checks | None:
    """From the scores; none: a version that did not check itself wrote them."""
    if not score.checks:
        return None
    by_outcome = {
        outcome: tuple(_check(each) for each in score.checks if each.outcome == outcome) for outcome in OUTCOMES
    }
    return Checks(open=by_outcome["warned"] + by_outcome["skipped"], passed=by_outcome["passed"])


def _check(check: SelfCheck) -> Check:
    return Check(KINDS[check.kind], check.model or "all models", check.outcome, check.sentence)
