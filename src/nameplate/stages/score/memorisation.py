"""How much of what a model names it knows by heart: rows that it was trained on against rows that it was not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from nameplate.stages.score.metrics import proportion
from nameplate.stages.score.results import Prediction
from nameplate.statistics import unpaired_difference
from nameplate.store.fingerprint import fingerprint
from nameplate.summary import Memorisation, Proportion


def sample_rows(names: Mapping[str, str], *, like: Counter[str], num_rows: int) -> list[str]:
    """Ids of rows whose names are as frequent as elsewhere; the same ones whenever they are drawn.

    Args:
        names: of all rows that there are, by row id.
        like: how often each name is wanted; one that is not wanted is not drawn.
        num_rows: how many to draw; fewer where there are no more with these names.

    A name that runs out leaves its places to the others, in their proportion (Webster's method of apportionment).
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for row_id, name in names.items():
        if like[name]:
            by_name[name].append(row_id)
    for own in by_name.values():
        own.sort(key=fingerprint)
    ordered = sorted(
        ((place + 0.5) / like[name], row_id) for name, own in by_name.items() for place, row_id in enumerate(own)
    )
    return [row_id for _, row_id in ordered[:num_rows]]


def memorisation(train: Sequence[Prediction], validation: Sequence[Prediction]) -> Memorisation | None:
    """The gap between two sets of answers of one model to one question; none: one of them is empty."""
    seen, unseen = _accuracy(train), _accuracy(validation)
    if not (seen.n and unseen.n):
        return None
    low, high = unpaired_difference((unseen.count, unseen.n), (seen.count, seen.n))
    sentence = _in_words(train[0].checkpoint, seen, unseen, low=low, high=high)
    return Memorisation(
        train=seen, validation=unseen, gap=seen.value - unseen.value, low=low, high=high, sentence=sentence
    )


def _accuracy(predictions: Sequence[Prediction]) -> Proportion:
    scored = [each for each in predictions if each.scored]
    return proportion(sum(each.right for each in scored), len(scored))


def _in_words(model: str, seen: Proportion, unseen: Proportion, *, low: float, high: float) -> str:
    facts = (
        f"{model} names {seen.value:.1%} of {seen.n:,} images that it was trained on and {unseen.value:.1%} of "
        f"{unseen.n:,} that it was not: {100 * (seen.value - unseen.value):+.1f} points, "
        f"95 % interval {100 * low:+.1f} to {100 * high:+.1f}"
    )
    if low > 0:
        return f"{facts}; that much it knows by heart and cannot carry over to other images."
    if high < 0:
        return f"{facts}; images that it was not trained on are the easier ones here, so this says nothing of learning."
    return f"{facts}; such a gap can be chance, so nothing shows that it knows images by heart."
