"""The verdict: did it learn, by how much, how sure is that, and what must be known to believe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nameplate.records import SplitName
from nameplate.report.formats import count, percent, question
from nameplate.summary import CheckpointScores, Comparison, Metrics, Outcome, RunSummary, ScoreSummary

WIDE_HALF_INTERVAL: Final = 0.05
"""A difference known no better than this (as a share) earns a warning about the size of the test."""

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
class Verdict:
    """What the box at the top of the page says."""

    outcome: Outcome
    word: str
    before: Side
    after: Side
    comparison: Comparison
    choice: str
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
        choice=_choice(score),
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
    comparison, trained = summary.score.comparison, len(summary.score.checkpoints) - 1
    warnings = []
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
    if trained > 1:
        warnings.append(
            f"The test split was looked at for each of the {trained} checkpoints. The choice was made on validation "
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
