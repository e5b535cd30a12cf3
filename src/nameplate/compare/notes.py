"""What must be known to believe a comparison's numbers, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from nameplate.compare.aligning import Aligned
from nameplate.compare.subjects import Compared
from nameplate.statistics import fewest_changed

SMALL_TEST: Final = 100
"""Below so many rows it is said that little can be shown."""


def notes_on(models: Sequence[Compared], aligned: Aligned, *, products: int) -> Iterator[str]:
    """All that applies, the gravest first.

    Args:
        models: that were compared.
        aligned: their answers.
        products: groups of rows that show the same product.
    """
    yield from _rows(aligned)
    yield from _engines(models, aligned)
    yield from _settings(models)
    yield from _twins(models, aligned)
    rows, split = len(aligned.keys), aligned.split
    if products < rows:
        yield (
            f"The {rows:,} images show {products:,} products. Images of one product count together, in "
            "the intervals and in the test."
        )
    if split == "validation":
        yield "Checkpoints were chosen on validation, so the chosen ones look better here than they are."
    else:
        yield from _looks(models)
    yield "The intervals count the chance of drawing these images, not that of training again with another seed."


def _rows(aligned: Aligned) -> Iterator[str]:
    rows, names, split = len(aligned.keys), set(aligned.names), aligned.split
    own = ", ".join(
        f"{label} {count:,}" for label, count in aligned.rows_of.items() if count != rows + aligned.unscored
    )
    if own:
        yield (
            f"The models were asked about different {split} rows ({own}). Only the {rows:,} that all of them share are "
            "counted here, so the numbers differ from those of the runs' own pages."
        )
    if aligned.unscored:
        yield f"{aligned.unscored:,} rows got no answer from one of the models. They are left out here for all of them."
    if aligned.registry is not None:
        yield "All answers were judged anew, by one registry: the numbers may differ from those of the runs' own pages."
    if len(names) == 1:
        yield f"Every row has the name {names.pop()}: accuracy is trivial here, since always saying it is 100 % right."
    if rows < fewest_changed():
        yield f"{rows} rows can show nothing: exact McNemar needs at least {fewest_changed()} that change."
    elif rows < SMALL_TEST:
        yield f"The test is small: {rows} rows. `nameplate power --images {rows}` says what they can show."


def _engines(models: Sequence[Compared], aligned: Aligned) -> Iterator[str]:
    """Different engines round differently, and a few near ties turn: not what is to be compared."""
    of_each = {
        model.label: " and ".join(sorted({str(row.get("engine") or "") for row in rows} - {""}))
        for model, rows in zip(models, aligned.rows, strict=True)
    }
    known = {engine for engine in of_each.values() if engine}
    if len(known) > 1:
        told = ", ".join(
            f"{label} by {engine or 'an engine that its run does not name'}" for label, engine in of_each.items()
        )
        yield (
            f"The answers come from different engines ({told}), whose rounding alone turns some answers. Score all "
            "runs with one engine before you believe a small difference."
        )
    elif known and "" in of_each.values():
        silent = ", ".join(label for label, engine in of_each.items() if not engine)
        yield f"The run does not say by which engine {silent} answered; the others were answered by {known.pop()}."


def _settings(models: Sequence[Compared]) -> Iterator[str]:
    lengths = {each.label: each.setting("score", "max_new_tokens") for each in models}
    if len(set(lengths.values())) > 1:
        yield f"Answers were cut at different lengths (score.max_new_tokens: {lengths})."
    tiles = {each.label: each.setting("model", "max_tiles") for each in models}
    if len(set(tiles.values())) > 1:
        yield f"The models look at images in different numbers of tiles (model.max_tiles: {tiles})."


def _twins(models: Sequence[Compared], aligned: Aligned) -> Iterator[str]:
    for model, answers in zip(models[1:], aligned.rows[1:], strict=True):
        if all(one["answer"] == other["answer"] for one, other in zip(aligned.rows[0], answers, strict=True)):
            yield f"{models[0].label} and {model.label} give the same answer to every row: is it the same model?"


def _looks(models: Sequence[Compared]) -> Iterator[str]:
    """How often these test images were looked at, as the run says that knows most of it."""
    looks = [each.scores.looks for each in models if each.scores.looks is not None]
    for test_set in dict.fromkeys(each.test_set for each in looks):
        yield max((each for each in looks if each.test_set == test_set), key=lambda each: len(each.looks)).sentence
