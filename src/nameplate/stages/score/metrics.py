"""From judged answers to numbers: each with its denominator and its interval."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from nameplate.records import NameVerdict
from nameplate.stages.score.results import Prediction
from nameplate.stages.score.subjects import BASE
from nameplate.statistics import mcnemar_exact, paired_bootstrap, wilson
from nameplate.summary import CheckpointScores, Comparison, Metrics, NameScore, Outcome, Proportion

SIGNIFICANT = 0.05


def proportion(count: int, n: int) -> Proportion:
    """A share with its Wilson interval."""
    share = wilson(count, n)
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def metrics_of(predictions: Sequence[Prediction]) -> Metrics:
    """How one model answered one question on one split; right, wrong name and no name add up to all."""
    right = sum(prediction.right for prediction in predictions)
    wrong = sum(prediction.verdict == NameVerdict.OTHER_NAME for prediction in predictions)
    by_name: dict[str, list[bool]] = defaultdict(list)
    for prediction in predictions:
        by_name[prediction.name].append(prediction.right)
    n = len(predictions)
    return Metrics(
        accuracy=proportion(right, n),
        wrong_name=proportion(wrong, n),
        no_name=proportion(n - right - wrong, n),
        macro_accuracy=sum(sum(own) / len(own) for own in by_name.values()) / len(by_name),
        num_names=len(by_name),
    )


def select(checkpoints: Iterable[CheckpointScores], headline: str) -> CheckpointScores:
    """The trained checkpoint with the best validation accuracy; ties go to the earliest. The base is no candidate."""
    trained = sorted((each for each in checkpoints if each.name != BASE), key=lambda each: each.epoch)
    return max(trained, key=lambda each: each.metrics["validation"][headline].accuracy.count)


def compare(before: Sequence[Prediction], after: Sequence[Prediction], *, seed: int = 0) -> Comparison:
    """Two models on the same rows of one split, one question.

    Args:
        before: of the one model.
        after: of the other, the same rows in the same order.
        seed: of the bootstrap.
    """
    assert [each.row_id for each in before] == [each.row_id for each in after], "the two were asked different rows"
    was, now = [each.right for each in before], [each.right for each in after]
    fixed = sum(new and not old for old, new in zip(was, now, strict=True))
    regressed = sum(old and not new for old, new in zip(was, now, strict=True))
    p_value = mcnemar_exact(fixed, regressed)
    interval = paired_bootstrap(was, now, seed=seed)
    n = len(was)
    outcome: Outcome = "tie" if p_value >= SIGNIFICANT else "better" if fixed > regressed else "worse"
    first = after[0]
    comparison = Comparison(
        split=first.split,
        prompt=first.prompt,
        before=before[0].checkpoint,
        after=first.checkpoint,
        n=n,
        fixed=fixed,
        regressed=regressed,
        p_value=p_value,
        difference=(fixed - regressed) / n,
        low=interval.low,
        high=interval.high,
        outcome=outcome,
        sentence="",
    )
    return comparison.model_copy(update={"sentence": in_words(comparison, before=sum(was), after=sum(now))})


def in_words(comparison: Comparison, *, before: int, after: int) -> str:
    """The comparison as one plain sentence; `before` and `after` are right answers."""
    n = comparison.n
    facts = (
        f"{comparison.after} names {after} of {n} {comparison.split} images right ({after / n:.1%}), "
        f"{comparison.before} {before} ({before / n:.1%}); {comparison.fixed} became right, "
        f"{comparison.regressed} became wrong"
    )
    p_value = "p < 0.001" if comparison.p_value < 0.001 else f"p = {comparison.p_value:.3f}"
    if comparison.outcome == "tie":
        return f"A tie: {facts}; such a difference can be chance (exact McNemar {p_value})."
    interval = f"{100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"
    verdict = "Better" if comparison.outcome == "better" else "Worse"
    points = f"{100 * comparison.difference:+.1f} points, 95 % interval {interval}"
    return f"{verdict}: {facts}; {points}, exact McNemar {p_value}."


def name_scores(before: Sequence[Prediction], after: Sequence[Prediction], train: Mapping[str, int]) -> list[NameScore]:
    """Per name: training rows, test rows, right answers of base and of the chosen checkpoint; most trained first."""
    rows = Counter(each.name for each in after)
    was = Counter(each.name for each in before if each.right)
    now = Counter(each.name for each in after if each.right)
    scores = [
        NameScore(name=name, train=train.get(name, 0), test=rows[name], before=was[name], after=now[name])
        for name in rows
    ]
    return sorted(scores, key=lambda score: (-score.train, score.name))
