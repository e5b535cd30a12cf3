"""Every look at a test set is counted, by all runs that share a store: who looks often enough finds a lucky model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from nameplate.stages.score.subjects import BASE, EvaluationRow, Subject
from nameplate.statistics import selection_optimism
from nameplate.store.files import explaining_disk_errors
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Look, Proportion, TestLooks


def note_looks(
    run: RunDirectory, subjects: Sequence[Subject], rows: Sequence[EvaluationRow], *, reached: Proportion
) -> TestLooks:
    """Write down who was judged on these rows, and say how often anyone was.

    Args:
        run: whose models they are.
        subjects: the models that answered; one whose weights have looked before is no new look.
        rows: the test split.
        reached: accuracy of the chosen one there.

    Raises:
        RunDirectoryError: the store cannot be written.
    """
    test_set = fingerprint(sorted((row.row_id, row.image.sha256) for row in rows))
    path = run.test_looks / f"{test_set[:32]}.jsonl"
    with explaining_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            looks = list(_read(path))
            known = {look.weights for look in looks}
            new = [_look(run, subject) for subject in subjects if subject.fingerprint not in known]
            _append(path, new)
    looks += new
    return TestLooks(test_set=test_set, looks=looks, sentence=in_words(looks, run=run.root.name, reached=reached))


def in_words(looks: Sequence[Look], *, run: str, reached: Proportion) -> str:
    """How often a test set was looked at, and what that does to the number of whoever picks by it.

    Args:
        looks: of distinct models.
        run: name of the run that says it.
        reached: accuracy of its chosen model.
    """
    trained = [look for look in looks if look.checkpoint != BASE]
    own = sum(look.run == run for look in trained)
    if len(trained) < 2:
        return "This test set was read for one trained model alone: what it says of that model is what it is."
    runs = len({look.run for look in trained})
    often = f"This test set was read for {len(trained)} trained models" + (
        f" of {runs} runs ({own} of them of this one)" if runs > 1 else ""
    )
    optimism = selection_optimism(reached.value, reached.n, num_candidates=len(trained))
    sentence = (
        f"{often}. No checkpoint was chosen by it, but whoever picks the best of them by their test numbers picks luck "
        f"too: up to {100 * optimism:.1f} points with {reached.n:,} images, less where the models answer alike."
    )
    if optimism > math.sqrt(reached.value * (1 - reached.value) / max(1, reached.n)):
        sentence += " That is more than one standard error: take fresh test rows before a picked number is promised."
    return sentence


def _look(run: RunDirectory, subject: Subject) -> Look:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return Look(when=when, run=run.root.name, checkpoint=subject.name, weights=subject.fingerprint)


def _read(path: Path) -> Iterator[Look]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield Look.model_validate_json(line)
        except ValidationError:
            # The half line of a process that was killed; its model has not been judged either.
            continue


def _append(path: Path, looks: Sequence[Look]) -> None:
    # A half line before gets an end of its own.
    lines = "".join("\n" + json.dumps(look.model_dump()) for look in looks)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(lines + ("\n" if looks else ""))
