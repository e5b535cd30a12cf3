"""The same questions answered three ways: by us, and by transformers' `generate` in batches and one at a time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig

from nameplate.models.closedset import answer_shares
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.respondent import Question, Respondent
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory
from train_shop import PROMPT


class Bench(NamedTuple):
    """What all sides answer, and with what."""

    loaded: LoadedModel
    run: RunDirectory
    max_new_tokens: int


class Spent(NamedTuple):
    """What one side took for some images, and what it said."""

    wall_seconds: float
    cpu_seconds: float
    texts: list[str]


def ours(bench: Bench, images: Sequence[ImageKey], batch_size: int = 64) -> Spent:
    """As scoring asks, from files to answers in a journal."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.db") as journal:
        respondent = _respondent(bench, journal, batch_size)
        questions = [Question(image, PROMPT) for image in images]
        started = _now()
        said = respondent.answers(questions, lambda _: None)
        return _spent(started, [said[question] for question in questions])


def ours_again(bench: Bench, images: Sequence[ImageKey], batch_size: int = 64) -> Spent:
    """As scoring asks where another model with the same frozen tower was asked before: what it saw is on disk."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.db") as journal:
        kept = PrefixStore(Path(folder) / "prefix", max_bytes=1 << 30)
        first = _respondent(bench, journal, batch_size, kept)
        for start in range(0, len(images), batch_size):
            first.see(images[start : start + batch_size])
        respondent = _respondent(bench, journal, batch_size, kept)
        questions = [Question(image, PROMPT) for image in images]
        started = _now()
        said = respondent.answers(questions, lambda _: None)
        return _spent(started, [said[question] for question in questions])


def closed_set(bench: Bench, images: Sequence[ImageKey], names: Sequence[str], batch_size: int = 64) -> Spent:
    """The likelihoods of all names, from files; the text is the likeliest name."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.db") as journal:
        respondent = _respondent(bench, journal, batch_size)
        started = _now()
        best = []
        for start in range(0, len(images), batch_size):
            seen = respondent.see(images[start : start + batch_size])
            best += answer_shares(bench.loaded, seen, PROMPT, names).argmax(dim=1).tolist()
        return _spent(started, [names[place] for place in best])


def library(bench: Bench, images: Sequence[ImageKey], batch_size: int) -> Spent:
    """As one writes it with transformers: pixels of a batch, question ids padded on the left, `generate`."""
    started = _now()
    texts: list[str] = []
    for start in range(0, len(images), batch_size):
        texts += [bench.loaded.processor.decode(ids) for ids in written(bench, images[start : start + batch_size])]
    return _spent(started, texts)


def written(bench: Bench, images: Sequence[ImageKey]) -> list[list[int]]:
    """Token ids that `generate` gives for one batch."""
    processor, model = bench.loaded.processor, bench.loaded.model
    prepared = [processor.prepare(bench.run.images.read(image.sha256, image.ext)) for image in images]
    questions = [processor.encode(PROMPT, size=image.size).input_ids for image in prepared]
    longest = max(map(len, questions))
    foreign: Any = model
    with torch.inference_mode():
        found = foreign.generate(
            input_ids=torch.tensor([[processor.pad_id] * (longest - len(ids)) + ids for ids in questions]),
            attention_mask=torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in questions]),
            pixel_values=processor.batch(prepared).merged()["pixel_values"].to(model.dtype),
            generation_config=_settings(bench),
        )
    return [row[longest:].tolist() for row in found]


def _settings(bench: Bench) -> GenerationConfig:
    build: Any = GenerationConfig
    processor = bench.loaded.processor
    settings: GenerationConfig = build(
        do_sample=False,
        max_new_tokens=bench.max_new_tokens,
        eos_token_id=processor.end_id,
        pad_token_id=processor.pad_id,
    )
    return settings


def _respondent(bench: Bench, journal: Journal, batch_size: int, kept: PrefixStore | None = None) -> Respondent:
    loaded = bench.loaded
    found = Respondent(
        loaded.folder,
        weights=loaded.fingerprint,
        images=ImageCache(bench.run.images, loaded.processor),
        journal=journal,
        max_new_tokens=bench.max_new_tokens,
        batch_size=batch_size,
        kept=kept,
    )
    # Loading is not counted, for no side.
    found.__dict__["loaded"] = loaded
    return found


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _spent(started: tuple[float, float], texts: list[str]) -> Spent:
    wall, cpu = _now()
    return Spent(wall - started[0], cpu - started[1], texts)
