"""The verdict: did it learn, by how much, how sure is that, and what must be known to believe it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nameplate.records import SplitName
from nameplate.report.checks import build_checks
from nameplate.report.formats import count, percent, question
from nameplate.summary import CheckpointScores, Comparison, Metrics, Outcome, Proportion, RunSummary, ScoreSummary

WIDE_HALF_INTERVAL: Final = 0.05
"""A difference known no better than this (as a share) earns a warning about the size of the test."""

TOP: Final = 5
"""Being among the first so many says something only where there are more names."""

WORDS: Final[dict[Outcome, str]] = {
    "better": "The model learned",
    "worse": "The model got worse",
    "tie": "No difference is shown",
}


@dataclass(frozen=True)
class Side:
    """One of the two models in the verdict."""

    name: str
    role: str
    metrics: Metrics


@dataclass(frozen=True)
class Measure:
    """One way to count, by both models."""

    label: str
    before: Proportion | None
    after: Proportion | None
    """None: that model was not asked, or a version wrote the scores that did not count so."""
    decides: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the box at the top of the page says."""

    outcome: Outcome
    word: str
    before: Side
    after: Side
    comparison: Comparison
    measures: tuple[Measure, ...]
    notes: tuple[tuple[str, str], ...]
    """What else belongs to the verdict, in words: (subject, sentence)."""
    warnings: tuple[str, ...]


def build_verdict(summary: RunSummary) -> Verdict:
    """Read the verdict from a run's numbers."""
    score, comparison = summary.score, summary.score.comparison
    return Verdict(
        outcome=comparison.outcome,
        word=WORDS[comparison.outcome],
        before=Side(comparison.before, "before training", _compared(score, comparison.before)),
        after=Side(comparison.after, "chosen checkpoint", _compared(score, comparison.after)),
        comparison=comparison,
        measures=tuple(_measures(score)),
        notes=tuple((subject, text) for subject, text in _notes(score) if text),
        warnings=tuple(_warnings(summary)),
    )


def scores_of(score: ScoreSummary, name: str) -> CheckpointScores:
    """The scores of one model by its name."""
    return next(scores for scores in score.checkpoints if scores.name == name)


def metrics_of(scores: CheckpointScores, split: SplitName, prompt: str) -> Metrics | None:
    """One model's metrics on one split for one question, if it was asked."""
    return scores.metrics.get(split, {}).get(prompt)


def _compared(score: ScoreSummary, name: str) -> Metrics:
    return scores_of(score, name).metrics[score.comparison.split][score.comparison.prompt]


def _measures(score: ScoreSummary) -> Iterator[Measure]:
    """The ways to count, strict ones first, on the rows that decide."""
    models = [scores_of(score, name) for name in (score.comparison.before, score.comparison.after)]
    was, now = (_compared(score, scores.name) for scores in models)
    yield Measure("the name and nothing else", was.strict, now.strict)
    yield Measure("the right name and no other", was.accuracy, now.accuracy, decides=True)
    yield Measure("the right name, others or not", was.mention_any, now.mention_any)
    closed = [scores.closed.get(score.comparison.split) for scores in models]
    names = max((each.names for each in closed if each is not None), default=0)
    picked = [(each.picked, each.in_five) if each is not None else (None, None) for each in closed]
    yield Measure(f"picks it of all {count(names)} names", picked[0][0], picked[1][0])
    if names > TOP:
        yield Measure("has it among its first five", picked[0][1], picked[1][1])
    yield Measure("another name", was.wrong_name, now.wrong_name)
    yield Measure("no known name", was.no_name, now.no_name)
    yield Measure("cut off by the token limit", was.cut_off, now.cut_off)


def _notes(score: ScoreSummary) -> Iterator[tuple[str, str]]:
    checks, chosen = build_checks(score), scores_of(score, score.selected)
    closed, learned = chosen.closed.get(score.comparison.split), chosen.memorisation
    yield "Choice", _choice(score)
    yield "Knows and says", closed.sentence if closed is not None else ""
    yield "By heart", learned.sentence if learned is not None else ""
    yield "Test looks", score.looks.sentence if score.looks is not None else ""
    yield "Self-checks", checks.line if checks is not None else ""


def _choice(score: ScoreSummary) -> str:
    """Which checkpoint was chosen, and why: on validation, never on the test."""
    if score.choice:
        return score.choice
    trained = [
        (scores, metrics.accuracy)
        for scores in score.checkpoints
        if scores.epoch > 0 and (metrics := metrics_of(scores, "validation", score.headline)) is not None
    ]
    chosen = next((pair for pair in trained if pair[0].name == score.selected), None)
    if chosen is None:
        return f"Chosen: {score.selected}; no trained checkpoint was better on the validation split."
    accuracy = chosen[1]
    text = (
        f"{score.selected} was chosen on the validation split: when {question(score.headline)} it is right on "
        f"{count(accuracy.count)} of {count(accuracy.n)} images ({percent(accuracy.value)})"
    )
    others = sorted((pair for pair in trained if pair is not chosen), key=lambda pair: -pair[1].value)
    if not others:
        return text + ". It is the only checkpoint."
    runner, second = others[0]
    if second.count == accuracy.count:
        relation = f"as is {runner.name}; of equals the earlier one is taken"
    else:
        relation = (
            f"{'more' if second.count < accuracy.count else 'fewer'} than {runner.name} ({percent(second.value)})"
        )
    return text + f", {relation}. The test split had no say."


def _warnings(summary: RunSummary) -> list[str]:
    score, comparison = summary.score, summary.score.comparison
    looked = sum(scores.epoch > 0 and "test" in scores.metrics for scores in score.checkpoints)
    metrics = _compared(score, comparison.after)
    warnings = list(score.notes)
    if summary.simulated_teacher:
        warnings.append(
            "The captions were written by a simulator that knows the truth. This run shows that the pipeline works and "
            "that the model can learn, not how well a real teacher sees."
        )
    half = (comparison.high - comparison.low) / 2
    if half > WIDE_HALF_INTERVAL:
        warnings.append(
            f"The test is small: {count(comparison.n)} images leave the difference uncertain by about "
            f"{100 * half:.0f} points either way."
        )
    if metrics.unscored:
        warnings.append(
            f"{count(metrics.unscored)} images got no answer of {comparison.after} and are in none of its shares."
        )
    if looked > 1:
        warnings.append(
            f"The test split was looked at for each of the {looked} checkpoints. The choice was made on validation "
            "alone; whoever picks another checkpoint after reading the test curve has no unseen test any more."
        )
    warnings.append(
        "This is a single run. The intervals count the chance of drawing these test images, not that of training "
        "again with another seed."
    )
    warnings.extend(_unaccounted(summary))
    return warnings


def _unaccounted(summary: RunSummary) -> list[str]:
    gaps = []
    for stage, row in summary.stages.items():
        missing = row.read - row.kept - sum(row.rejected.values())
        if missing:
            gaps.append(f"{count(missing)} rows of stage {stage} are not accounted for; please report this.")
    return gaps
