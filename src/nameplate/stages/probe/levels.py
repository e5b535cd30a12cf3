"""Every view read by every reader, and the better reader of each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from nameplate.errors import ModelError
from nameplate.models.probing.looks import Look
from nameplate.models.probing.readers import Labelled, Reading, examples_of, read_again, read_names
from nameplate.models.probing.view import EYE_VIEWS, View
from nameplate.progress import Progress, bar
from nameplate.stages.probe.counting import proportion, scored
from nameplate.stages.probe.results import Level, ReadingFigures
from nameplate.stages.probe.sample import ProbedRow, Sample, folds_of, half_of

VIEWS: Final[Mapping[Level, Sequence[View]]] = {
    Level.EYE: EYE_VIEWS,
    Level.PROJECTOR: (View.PROJECTOR,),
    Level.ANSWER: (View.ANSWER,),
}


class Read(NamedTuple):
    """One reading with its figures."""

    view: View
    reading: Reading
    figures: ReadingFigures

    @property
    def right(self) -> list[bool]:
        """Whether each tried row was read right."""
        return [rank == 0 for rank in self.reading.ranks]


class Readings(NamedTuple):
    """All readings."""

    every: list[Read]
    levels: dict[Level, Read]
    """The better reader of each level that the model shows, by what came right in the folds."""
    half: list[bool] | None
    """The eye's reader fitted to half of the rows; none: the model does not show its eye, or half lacks a name."""

    @property
    def ceiling(self) -> Read:
        """The best of all, by the folds."""
        return max(self.every, key=lambda read: read.reading.right_in_folds)


def read_levels(looks: Mapping[str, Look], sample: Sample, *, seed: int, progress: Progress) -> Readings:
    """Fit to the training rows, and read the others.

    Raises:
        ModelError: the model shows nothing.
    """
    train, tried = _labelled(sample, sample.train), _labelled(sample, sample.tried)
    folds = folds_of(sample.train, seed=seed)
    shown = [view for view in View if view in looks[train[0].sha256]]
    if not shown:
        found = "a model whose family shows neither its image features nor its last state"
        raise ModelError("model.base", found=found, fix="choose another base, or train without a probe")
    every: list[Read] = []
    with bar(progress, "probe: read the views", len(shown)) as advance:
        for view in shown:
            readings = read_names(
                examples_of(looks, view, train),
                examples_of(looks, view, tried),
                folds=folds,
                num_names=len(sample.names),
            )
            every += [Read(view, reading, _figures(view, reading, sample, seed)) for reading in readings]
            advance(1)
    levels = {level: _best(every, views) for level, views in VIEWS.items() if any(view in shown for view in views)}
    return Readings(every, levels, _half(looks, levels, sample, seed=seed))


def _best(every: Sequence[Read], views: Sequence[View]) -> Read:
    return max((read for read in every if read.view in views), key=lambda read: read.reading.right_in_folds)


def _half(looks: Mapping[str, Look], levels: Mapping[Level, Read], sample: Sample, *, seed: int) -> list[bool] | None:
    eye = levels.get(Level.EYE)
    places = half_of(sample.train, seed=seed)
    train = [_labelled(sample, sample.train)[place] for place in places]
    if eye is None or not train:
        return None
    ranks = read_again(
        examples_of(looks, eye.view, train),
        examples_of(looks, eye.view, _labelled(sample, sample.tried)),
        reader=eye.reading.reader,
        setting=eye.reading.setting,
        num_names=len(sample.names),
    )
    return [rank == 0 for rank in ranks]


def _labelled(sample: Sample, rows: Sequence[ProbedRow]) -> list[Labelled]:
    number = {name: place for place, name in enumerate(sample.names)}
    return [Labelled(row.image.sha256, number[row.name]) for row in rows]


def _figures(view: View, reading: Reading, sample: Sample, seed: int) -> ReadingFigures:
    names = [row.name for row in sample.tried]
    return ReadingFigures(
        view=view,
        reader=reading.reader,
        setting=reading.setting,
        folds=proportion(reading.right_in_folds, len(sample.train)),
        scored=scored(reading.ranks, names, num_names=len(sample.names), seed=seed),
    )
