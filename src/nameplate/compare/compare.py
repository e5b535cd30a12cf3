"""Several models on the same rows: each against the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from nameplate.compare.aligning import Aligned
from nameplate.compare.results import ComparedModel, ComparisonSummary, Difference, RowChange
from nameplate.compare.subjects import Compared
from nameplate.statistics import (
    PairedComparison,
    compare_pairs,
    fewest_changed,
    holm,
    in_words,
    macro_bootstrap,
    macro_difference_bootstrap,
    wilson,
)
from nameplate.summary import Proportion

SMALL_TEST = 100
"""Below so many rows the page says that little can be shown."""


def compare_models(models: Sequence[Compared], aligned: Aligned, *, seed: int = 0) -> ComparisonSummary:
    """Compare each model with the first.

    Args:
        models: two or more; the first is what the others are compared with.
        aligned: their answers, by `bring_together`.
        seed: of the resampling.
    """
    groups = _products(models[0], aligned)
    compared = [
        compare_pairs(aligned.right(0), aligned.right(place), groups=groups, seed=seed)
        for place in range(1, len(models))
    ]
    adjusted = holm([each.p_value for each in compared])
    return ComparisonSummary(
        split=aligned.split,
        prompt=aligned.prompt,
        question=next((text for each in models if (text := each.scores.questions.get(aligned.prompt, ""))), ""),
        rows=len(aligned.keys),
        products=compared[0].num_groups,
        names=len(set(aligned.names)),
        rows_of=aligned.rows_of,
        models=[_model(each, aligned, place, seed=seed) for place, each in enumerate(models)],
        differences=[
            _difference(models, aligned, place, found, p_holm, seed=seed)
            for place, (found, p_holm) in enumerate(zip(compared, adjusted, strict=True), start=1)
        ],
        notes=list(_notes(models, aligned, compared)),
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
    )


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


def _notes(models: Sequence[Compared], aligned: Aligned, compared: Sequence[PairedComparison]) -> Iterator[str]:
    rows, names, split = len(aligned.keys), set(aligned.names), aligned.split
    own = ", ".join(f"{label} {count:,}" for label, count in aligned.rows_of.items() if count != rows)
    if own:
        yield (
            f"The models were asked about different {split} rows ({own}). Only the {rows:,} that all of them share are "
            "counted here, so the numbers differ from those of the runs' own pages."
        )
    if len(names) == 1:
        yield f"Every row has the name {names.pop()}: accuracy is trivial here, since always saying it is 100 % right."
    if rows < fewest_changed():
        yield f"{rows} rows can show nothing: exact McNemar needs at least {fewest_changed()} that change."
    elif rows < SMALL_TEST:
        yield f"The test is small: {rows} rows. `nameplate power --images {rows}` says what they can show."
    for model, answers in zip(models[1:], aligned.rows[1:], strict=True):
        if all(one["answer"] == other["answer"] for one, other in zip(aligned.rows[0], answers, strict=True)):
            yield f"{models[0].label} and {model.label} give the same answer to every row: is it the same model?"
    settings = {each.label: each.settings.get("max_new_tokens") for each in models}
    if len(set(settings.values())) > 1:
        yield f"Answers were cut at different lengths (score.max_new_tokens: {settings})."
    if compared[0].num_groups < rows:
        yield (
            f"The {rows:,} images show {compared[0].num_groups:,} products. Images of one product count together, in "
            "the intervals and in the test."
        )
    if split == "validation":
        yield "Checkpoints were chosen on validation, so the chosen ones look better here than they are."
    yield "The intervals count the chance of drawing these images, not that of training again with another seed."
