"""From judged answers to numbers: each with its denominator and its interval."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from nameplate.records import NameVerdict
from nameplate.stages.score.results import Prediction
from nameplate.statistics import compare_pairs, macro_bootstrap, wilson
from nameplate.summary import Comparison, Metrics, NameScore, Proportion

SEED = 0
"""Of every bootstrap here: the same answers give the same intervals."""


def proportion(count: int, n: int) -> Proportion:
    """A share with its Wilson interval."""
    share = wilson(count, n)
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def metrics_of(predictions: Sequence[Prediction]) -> Metrics:
    """How one model answered one question on one split; right, wrong name and no name add up to all that is scored."""
    scored = [each for each in predictions if each.scored]
    n = len(scored)
    right = sum(each.right for each in scored)
    wrong = sum(each.verdict == NameVerdict.OTHER_NAME for each in scored)
    names = [each.name for each in scored]
    macro = macro_bootstrap([each.right for each in scored], names, seed=SEED)
    return Metrics(
        accuracy=proportion(right, n),
        wrong_name=proportion(wrong, n),
        no_name=proportion(n - right - wrong, n),
        macro_accuracy=_macro(scored),
        num_names=len(set(names)),
        strict=proportion(sum(each.strict for each in scored), n),
        mention_any=proportion(sum(each.mentioned for each in scored), n),
        cut_off=proportion(sum(each.finish == "length" for each in scored), n),
        unscored=len(predictions) - n,
        macro_low=macro.low,
        macro_high=macro.high,
    )


def _macro(predictions: Sequence[Prediction]) -> float:
    by_name: dict[str, list[bool]] = defaultdict(list)
    for prediction in predictions:
        by_name[prediction.name].append(prediction.right)
    return sum(sum(own) / len(own) for own in by_name.values()) / len(by_name) if by_name else 0.0


def compare(
    before: Sequence[Prediction],
    after: Sequence[Prediction],
    *,
    groups: Mapping[str, str] | None = None,
    seed: int = SEED,
) -> Comparison:
    """Two models on the same rows of one split, one question.

    Args:
        before: of the one model.
        after: of the other, the same rows in the same order; a row that either has no answer to is left out.
        groups: the product of each row, by row id; rows that are not in it stand alone.
        seed: of the bootstrap.
    """
    assert [each.row_id for each in before] == [each.row_id for each in after], "the two were asked different rows"
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one.scored and other.scored]
    was, now = [one.right for one, _ in pairs], [other.right for _, other in pairs]
    products = groups or {}
    found = compare_pairs(
        was, now, groups=[products.get(each.row_id, f"row {each.row_id}") for each, _ in pairs], seed=seed
    )
    first = after[0]
    comparison = Comparison(
        split=first.split,
        prompt=first.prompt,
        before=before[0].checkpoint,
        after=first.checkpoint,
        n=found.n,
        fixed=found.fixed,
        regressed=found.regressed,
        p_value=found.p_value,
        difference=found.difference,
        low=found.low,
        high=found.high,
        outcome=found.outcome(),
        sentence="",
    )
    return comparison.model_copy(update={"sentence": in_words(comparison, before=sum(was), after=sum(now))})


def in_words(comparison: Comparison, *, before: int, after: int) -> str:
    """The comparison as one plain sentence; `before` and `after` are right answers."""
    n = comparison.n
    if not n:
        return f"A tie: no {comparison.split} row was answered by both."
    facts = (
        f"{comparison.after} names {after} of {n} {comparison.split} images right ({after / n:.1%}), "
        f"{comparison.before} {before} ({before / n:.1%}); {comparison.fixed} became right, "
        f"{comparison.regressed} became wrong"
    )
    p_value = "p < 0.001" if comparison.p_value < 0.001 else f"p = {comparison.p_value:.3f}"
    if comparison.outcome == "tie":
        return f"A tie: {facts}; such a difference can be chance (exact paired {p_value})."
    interval = f"{100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"
    verdict = "Better" if comparison.outcome == "better" else "Worse"
    points = f"{100 * comparison.difference:+.1f} points, 95 % interval {interval}"
    return f"{verdict}: {facts}; {points}, exact paired {p_value}."


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
