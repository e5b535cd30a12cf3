"""One call from images to a file of answers, or to whoever takes the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nameplate.errors import InputError
from nameplate.models.prompts import PROMPTS
from nameplate.names import Registry
from nameplate.predict.checkpoints import Asked
from nameplate.predict.inputs import Inputs
from nameplate.predict.output import Write, check_output, journal_of, opened_output
from nameplate.predict.predictor import Predictor
from nameplate.predict.results import PredictSummary
from nameplate.progress import Progress, bar
from nameplate.store.journal import Journal

DEFAULT_BATCH = 16


def predict(
    asked: Asked,
    inputs: Inputs,
    *,
    to: Path | Write,
    prompt: str = "detail",
    registry: Registry | None = None,
    batch_size: int = DEFAULT_BATCH,
    progress: Progress,
) -> PredictSummary:
    """Ask a model one question about every image; whatever is wrong with an image stands in its row.

    Args:
        asked: the model.
        inputs: the images.
        to: a file (.csv, .jsonl, .parquet), or what takes the rows. The answers for a file are kept beside it as they
            come, so that a second call continues where one was stopped, and asks only about what is new.
        prompt: "short", "detail" or "name" as in scoring, or a question of one's own.
        registry: names to look for in the answers; none: none.
        batch_size: images per generation batch.
        progress: shows how far it is.

    Raises:
        InputError: the prompt is no question, or the file cannot be written.
        ModelError: the model cannot be loaded.
        RunDirectoryError: the disk is full.
    """
    question = question_of(prompt)
    if isinstance(to, Path):
        check_output(to)
    total = inputs.num_images
    with _opened(to) as (journal, write):
        predictor = Predictor(asked, prompt=question, registry=registry, journal=journal, batch_size=batch_size)
        with bar(progress, "predict", total) as advance:
            for rows in predictor.rows(inputs, advance):
                write(rows)
    return predictor.summary(inputs)


def question_of(prompt: str) -> str:
    """The question in full.

    Raises:
        InputError: a single word that is not the name of a question.
    """
    known = {str(name): text for name, text in PROMPTS.items()}
    if prompt in known:
        return known[prompt]
    if len(prompt.split()) < 2:
        raise InputError(f"prompt '{prompt}'", found="no question", expected=f"{', '.join(known)}, or one in words")
    return prompt


class _Opened(NamedTuple):
    journal: Journal
    write: Write


@contextmanager
def _opened(to: Path | Write) -> Iterator[_Opened]:
    """Where answers are kept, and what takes the rows; without a file both end with the call."""
    if isinstance(to, Path):
        with Journal(journal_of(to)) as journal, opened_output(to) as write:
            yield _Opened(journal, write)
        return
    with TemporaryDirectory(prefix="nameplate-") as folder, Journal(Path(folder) / "answers.sqlite") as journal:
        yield _Opened(journal, to)
