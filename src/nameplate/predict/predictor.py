"""Images in, rows out. Read `Predictor.rows` first."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any, Final

from nameplate.models.closedset import answer_shares, can_compare
from nameplate.models.features import vision_features
from nameplate.models.generate import Answer, answer
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.locate import weights_fingerprint
from nameplate.models.precision import compute_dtype
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.models.respondent import load_to_ask, parts
from nameplate.names import Matcher, Registry
from nameplate.predict.checkpoints import Asked
from nameplate.predict.inputs import Input, Inputs
from nameplate.predict.naming import NameFound, find_name
from nameplate.predict.pictures import Looked, Looker
from nameplate.predict.results import Predicted, PredictSummary
from nameplate.progress import Advance
from nameplate.stages.fetch.pixels.decode import strict_pillow
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal

BATCHES_AT_ONCE: Final = 4
"""So many batches are filled from images of like numbers of tiles; as many more are decoded meanwhile."""
MOST_THREADS: Final = 16
MOST_NAMES: Final = 256
"""Of more names none is weighed against the others: it would cost more than the answers."""


class Predictor:
    """One model and one question, asked about any images.

    Args:
        asked: the model.
        prompt: the question in full.
        registry: names to look for in the answers; none: none.
        journal: of answers, by weights, image, settings and question; what it has is not asked again.
        batch_size: images per generation batch.
    """

    def __init__(
        self, asked: Asked, *, prompt: str, registry: Registry | None, journal: Journal, batch_size: int
    ) -> None:
        self._asked = asked
        self._prompt = prompt
        self._matcher = Matcher(registry) if registry is not None else None
        self._names = [entry.display for entry in registry.entries] if registry is not None else []
        self._journal = journal
        self._batch_size = batch_size
        self._processor = load_processor(asked.folder, max_tiles=asked.max_tiles)
        self._max_new_tokens = asked.recipe.score.max_new_tokens
        self._weights = weights_fingerprint(asked.folder)
        self._weighs = self._matcher is not None and prompt == PROMPTS["name"] and len(self._names) <= MOST_NAMES
        self._identity = fingerprint(
            self._weights,
            self._processor.fingerprint,
            asked.recipe.fetch.image,
            str(compute_dtype()),
            self._max_new_tokens,
            prompt,
            self._matcher.fingerprint if self._weighs and self._matcher is not None else None,
        )
        self._seconds = self._loading = 0.0
        self._counts: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def rows(self, inputs: Iterable[Input], advance: Advance) -> Iterator[list[Predicted]]:
        """A row for every input, in order, a few batches at a time.

        Raises:
            ModelError: the model cannot be loaded.
        """
        looker = Looker(self._asked.recipe.fetch, processor=self._processor, key_of=self._key, kept=self._journal.last)
        started = time.monotonic()
        with strict_pillow(), _threads() as pool:
            for window in _ahead(pool, looker, inputs, size=self._batch_size * BATCHES_AT_ONCE):
                rows = self._rows_of(window)
                self._count(rows)
                self._seconds = time.monotonic() - started - self._loading
                yield rows
                advance(len(rows))

    def summary(self, inputs: Inputs) -> PredictSummary:
        """What was done so far."""
        computed = self._counts["computed"]
        return PredictSummary(
            checkpoint=self._asked.name,
            weights=self._weights,
            prompt=self._prompt,
            names=len(self._matcher.registry.entries) if self._matcher is not None else None,
            images=self._counts["rows"],
            answered=self._counts["answered"],
            computed=computed,
            cut_off=self._counts["cut_off"],
            verdicts=dict(self._verdicts.most_common()),
            reasons=dict(self._reasons.most_common()),
            left_out=inputs.left_out,
            seconds=round(self._seconds, 3),
            images_per_second=round(computed / self._seconds, 3) if computed else None,
        )

    @cached_property
    def _loaded(self) -> LoadedModel:
        started = time.monotonic()
        loaded = load_to_ask(self._asked.folder, self._processor)
        self._loading = time.monotonic() - started
        return loaded

    def _key(self, sha256: str) -> str:
        return fingerprint(self._identity, sha256)

    def _rows_of(self, window: Sequence[Looked]) -> list[Predicted]:
        known = {each.key: each.kept for each in window if each.kept is not None}
        asking = {each.key: each for each in window if each.image is not None}
        known |= self._ask([each for key, each in asking.items() if key not in known])
        return [self._row(each, known.get(each.key)) for each in window]

    def _ask(self, missing: Sequence[Looked]) -> dict[str, Mapping[str, Any]]:
        """Ask about images, those of like numbers of tiles together, and keep every batch's answers at once."""
        if not missing:
            return {}
        loaded = self._loaded
        found: dict[str, Mapping[str, Any]] = {}
        for part in parts(sorted(missing, key=self._num_tokens), self._batch_size):
            images = self._processor.batch([each.image for each in part if each.image is not None])
            seen = vision_features(loaded.model, images)
            said = answer(loaded, seen, [self._prompt] * len(part), max_new_tokens=self._max_new_tokens)
            shares = self._weigh(seen, said) if self._weighs else {}
            new = {
                each.key: {**one._asdict(), "name_confidence": shares.get(place)}
                for place, (each, one) in enumerate(zip(part, said, strict=True))
            }
            self._journal.put_many((key, 0, value) for key, value in new.items())
            found |= new
        self._counts["computed"] += len(missing)
        return found

    def _weigh(self, seen: ImageBatch, said: Sequence[Answer]) -> dict[int, float]:
        """By place: how probable the found name is among all names, as the answer to this question."""
        found = [self._find(each.text) for each in said]
        places = [place for place, name in enumerate(found) if name.name]
        if not places or not can_compare(self._loaded):
            return {}
        shares = answer_shares(self._loaded, seen.pick(places), self._prompt, self._names).tolist()
        return {
            place: round(own[self._names.index(found[place].name)], 4)
            for place, own in zip(places, shares, strict=True)
        }

    def _num_tokens(self, looked: Looked) -> int:
        assert looked.image is not None
        return self._processor.num_image_tokens(looked.image.size) if self._processor.by_size else 0

    def _row(self, looked: Looked, said: Mapping[str, Any] | None) -> Predicted:
        if said is None:
            return Predicted(looked.path, reason=looked.reason, detail=looked.detail)
        found = self._find(said["text"])
        return Predicted(
            looked.path,
            said["text"],
            name=found.name,
            verdict=found.verdict.value if found.verdict is not None else "",
            confidence=said["confidence"],
            name_confidence=said["name_confidence"],
            finish=said["finish"],
        )

    def _find(self, text: str) -> NameFound:
        return find_name(text, self._matcher) if self._matcher is not None else NameFound("", None)

    def _count(self, rows: Sequence[Predicted]) -> None:
        self._counts["rows"] += len(rows)
        self._counts["answered"] += sum(not row.reason for row in rows)
        self._counts["cut_off"] += sum(row.finish == "length" for row in rows)
        self._verdicts.update(row.verdict for row in rows if row.verdict)
        self._reasons.update(row.reason for row in rows if row.reason)


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS), "decode")


def _ahead(pool: ThreadPoolExecutor, looker: Looker, inputs: Iterable[Input], *, size: int) -> Iterator[list[Looked]]:
    """Windows of what was looked at; while one is asked about, the next is decoded."""
    waiting = iter(inputs)
    before: list[Future[Looked]] = []
    try:
        while True:
            after = [pool.submit(looker.look, each) for each in islice(waiting, size)]
            if before:
                yield [each.result() for each in before]
            if not after:
                return
            before = after
    finally:
        pool.shutdown(cancel_futures=True)
