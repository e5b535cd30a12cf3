"""Several models on the same rows: each against the first, each against each, and all beside what a probe advised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from nameplate.compare.aligning import Aligned
from nameplate.compare.notes import notes_on
from nameplate.compare.probed import find_probe
from nameplate.compare.results import ComparedModel, ComparisonSummary, Difference, Pair, RowChange
from nameplate.compare.subjects import Compared
from nameplate.statistics import (
    PairedComparison,
    compare_pairs,
    holm,
    in_words,
    macro_bootstrap,
    macro_difference_bootstrap,
    wilson,
)
from nameplate.summary import Proportion


def compare_models(models: Sequence[Compared], aligned: Aligned, *, seed: int = 0) -> ComparisonSummary:
    """Compare each model with the first, and each with each.

    Args:
        models: two or more; the first is what the others are compared with.
        aligned: their answers, by `bring_together`.
        seed: of the resampling.
    """
    groups = _products(models[0], aligned)
    every = {
        (one, other): compare_pairs(aligned.right(one), aligned.right(other), groups=groups, seed=seed)
        for one, other in combinations(range(len(models)), 2)
    }
    compared = [every[0, place] for place in range(1, len(models))]
    adjusted = holm([each.p_value for each in compared])
    shown = [_model(each, aligned, place, seed=seed) for place, each in enumerate(models)]
    pairs = _pairs(models, every) if len(models) > 2 else []
    return ComparisonSummary(
        split=aligned.split,
        prompt=aligned.prompt,
        question=next((text for each in models if (text := each.scores.questions.get(aligned.prompt, ""))), ""),
        rows=len(aligned.keys),
        products=compared[0].num_groups,
        names=len(set(aligned.names)),
        rows_of=aligned.rows_of,
        models=shown,
        differences=[
            _difference(models, aligned, place, found, p_holm, seed=seed)
            for place, (found, p_holm) in enumerate(zip(compared, adjusted, strict=True), start=1)
        ],
        pairs=pairs,
        leader=leader(shown, pairs) if pairs else "",
        probe=find_probe(models, aligned, groups=groups),
        notes=list(notes_on(models, aligned, products=compared[0].num_groups)),
    )


def _products(model: Compared, aligned: Aligned) -> list[str]:
    """The group that each row was split with; rows of which none is known stand alone."""
    groups = {row_id: row.get("group_id") for row_id, row in model.listings(["group_id"]).items()}
    return [groups.get(row_id) or f"row {row_id}" for row_id, _ in aligned.keys]


def _model(model: Compared, aligned: Aligned, place: int, *, seed: int) -> ComparedModel:
    right = aligned.right(place)
    share = wilson(sum(right), len(right))
    macro = macro_bootstrap(right, aligned.names, seed=seed)
    return ComparedModel(
        label=model.label,
        run=str(model.root),
        checkpoint=model.checkpoint,
        accuracy=Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high),
        macro=_macro(right, aligned.names),
        macro_low=macro.low,
        macro_high=macro.high,
        learned=model.learned,
    )


def _pairs(models: Sequence[Compared], every: dict[tuple[int, int], PairedComparison]) -> list[Pair]:
    adjusted = holm([each.p_value for each in every.values()])
    return [
        Pair(
            before=models[one].label,
            after=models[other].label,
            fixed=found.fixed,
            regressed=found.regressed,
            difference=found.difference,
            p_value=found.p_value,
            p_holm=p_holm,
            outcome=found.outcome(p_holm),
        )
        for ((one, other), found), p_holm in zip(every.items(), adjusted, strict=True)
    ]


def leader(models: Sequence[ComparedModel], pairs: Sequence[Pair]) -> str:
    """Which model is right most often, and over which of the others that is more than chance."""
    best = max(models, key=lambda model: model.accuracy.count)
    own = [pair for pair in pairs if best.label in (pair.before, pair.after)]
    tied = [pair.after if pair.before == best.label else pair.before for pair in own if pair.outcome == "tie"]
    said = f"{best.label} is right most often ({best.accuracy.value:.1%})"
    test = f"exact paired tests, Holm over all {len(pairs)} pairs"
    if not tied:
        return f"{said}, more often than each of the others by more than chance ({test})."
    if len(tied) == len(own):
        return f"{said}, but its lead over each of the others can be chance ({test})."
    return f"{said}; its lead over {' and '.join(tied)} can be chance, that over the others is more ({test})."


def _difference(
    models: Sequence[Compared],
    aligned: Aligned,
    place: int,
    found: PairedComparison,
    p_holm: float,
    *,
    seed: int,
) -> Difference:
    before, after = aligned.right(0), aligned.right(place)
    macro = macro_difference_bootstrap(before, after, aligned.names, seed=seed)
    labels = models[0].label, models[place].label
    return Difference(
        before=labels[0],
        after=labels[1],
        fixed=_changes(aligned, place, [new and not old for old, new in zip(before, after, strict=True)]),
        regressed=_changes(aligned, place, [old and not new for old, new in zip(before, after, strict=True)]),
        difference=found.difference,
        low=found.low,
        high=found.high,
        macro_difference=_macro(after, aligned.names) - _macro(before, aligned.names),
        macro_low=macro.low,
        macro_high=macro.high,
        p_value=found.p_value,
        p_holm=p_holm,
        mcnemar=found.mcnemar,
        detectable=found.detectable,
        outcome=found.outcome(p_holm),
        sentence=in_words(
            found,
            before=labels[0],
            after=labels[1],
            rows=f"{aligned.split} images",
            p_value=p_holm,
            num_comparisons=len(models) - 1,
        ),
    )


def _changes(aligned: Aligned, place: int, is_change: Sequence[bool]) -> list[RowChange]:
    return [
        RowChange(
            row_id=row_id,
            image_sha256=sha256,
            name=before["name"],
            before=before["answer"],
            after=after["answer"],
        )
        for (row_id, sha256), before, after, changed in zip(
            aligned.keys, aligned.rows[0], aligned.rows[place], is_change, strict=True
        )
        if changed
    ]


def _macro(right: Sequence[bool], names: Sequence[str]) -> float:
    own: dict[str, list[bool]] = defaultdict(list)
    for is_right, name in zip(right, names, strict=True):
        own[name].append(is_right)
    return sum(sum(each) / len(each) for each in own.values()) / len(own)
