"""How many tokens a training reads, and the micro-batches that it reads them in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from nameplate.models.batches import LENGTH_STEP, PLACES_STEP
from nameplate.models.plan.reader import Counted, Reader
from nameplate.models.plan.table import Examples
from nameplate.models.tiling import ImageSize
from nameplate.recipe import TrainSection


@dataclass(frozen=True)
class MicroBatch:
    """What goes through the model together."""

    examples: int
    length: int
    """Tokens of each, padding included."""
    places: int
    """Where logits are computed, padding included."""
    image_tokens: int
    """Of all examples together."""
    tiles: int
    """The same; as many as images for other families than InternVL."""
    size: ImageSize
    """Of a typical image."""


@dataclass(frozen=True)
class Workload:
    """One epoch."""

    rows: int
    images: int
    tiles: float
    """Of an image, on average."""
    tile_side: int | None
    """In pixels; none: another family than InternVL."""
    image_tokens: float
    text_tokens: float
    """Question, frame and answer, on average over captions and name questions."""
    answer_tokens: float
    padding: float
    """Padding's share of all tokens that are computed."""
    longest: int
    """Tokens of the longest example."""
    steps: int
    micro_batches: int
    typical: MicroBatch
    """By which work and time are counted."""
    largest: MicroBatch
    """By which memory is counted."""

    @property
    def tokens(self) -> int:
        """Of one epoch, without padding."""
        return round(self.rows * (self.image_tokens + self.text_tokens))


def epoch_of(examples: Examples, reader: Reader, section: TrainSection) -> Workload:
    """The workload of an epoch, by a sample of its examples drawn, sorted and divided as training does it."""
    drawn = list(_drawn(examples, reader, section))
    per_step = min(section.batch_size, examples.rows)
    micro = min(section.memory.micro_batch_size, per_step)
    batches = list(_micro_batches(drawn, per_step, micro))
    sizes = sorted((row.size for row in examples.sample), key=lambda each: each.width * each.height)
    size = sizes[len(sizes) // 2]
    lengths = [_up(max(each.total for each in batch), LENGTH_STEP) for batch in batches]
    per_batch = fmean(len(batch) for batch in batches)
    steps = -(-examples.rows // section.batch_size)
    packed = section.memory.packing == "on"
    total = sum(each.total for each in drawn)
    length = total / len(drawn) if packed else fmean(lengths)
    places = [_up(sum(each.answer for each in batch), PLACES_STEP) for batch in batches]
    largest = max(range(len(batches)), key=lambda place: lengths[place] * len(batches[place]))
    whole = round(per_batch)
    return Workload(
        rows=examples.rows,
        images=examples.images,
        tiles=fmean(each.tiles for each in drawn),
        tile_side=reader.contract.size if reader.contract is not None else None,
        image_tokens=fmean(each.image for each in drawn),
        text_tokens=fmean(each.text for each in drawn),
        answer_tokens=fmean(each.answer for each in drawn),
        padding=0.0 if packed else 1 - total / sum(n * len(b) for n, b in zip(lengths, batches, strict=True)),
        longest=max(each.total for each in drawn),
        steps=steps,
        micro_batches=math.ceil(examples.rows / per_batch),
        typical=MicroBatch(
            whole,
            max(_up(length, LENGTH_STEP), 1),
            _up(fmean(places) * whole / per_batch, PLACES_STEP),
            round(whole * fmean(each.image for each in drawn)),
            max(1, round(whole * fmean(each.tiles for each in drawn))),
            size,
        ),
        largest=_shape(batches[largest], lengths[largest], places[largest], size),
    )


def _shape(batch: Sequence[Counted], length: int, places: int, size: ImageSize) -> MicroBatch:
    image_tokens, tiles = sum(each.image for each in batch), sum(each.tiles for each in batch)
    return MicroBatch(len(batch), length, places, image_tokens, tiles, size)


def _drawn(examples: Examples, reader: Reader, section: TrainSection) -> Iterator[Counted]:
    """An epoch's examples: a share of rows is asked for the name, the others for the caption."""
    generator = np.random.default_rng(section.seed)
    # A sample of one stands for rows that are all alike.
    rows = examples.sample if len(examples.sample) > 1 else examples.sample * section.batch_size * 8
    counted = {row: (reader.caption(row), reader.question(row)) for row in dict.fromkeys(rows)}
    asked = set(generator.permutation(len(rows))[: round(section.examples.name_question_share * len(rows))].tolist())
    for place in generator.permutation(len(rows)).tolist():
        yield counted[rows[place]][place in asked]


def _micro_batches(drawn: Sequence[Counted], per_step: int, micro: int) -> Iterator[Sequence[Counted]]:
    for start in range(0, len(drawn), per_step):
        step = sorted(drawn[start : start + per_step], key=lambda each: each.total, reverse=True)
        parts = -(-len(step) // micro)
        bounds = [len(step) * part // parts for part in range(parts + 1)]
        yield from (step[first:last] for first, last in itertools.pairwise(bounds))


def _up(number: float, step: int) -> int:
    return math.ceil(number / step) * step
