"""The probe, from a split to advice. Read `run_probe` first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from nameplate import __version__
from nameplate.models.images import ImageCache
from nameplate.models.locate import find_model, weights_fingerprint
from nameplate.models.precision import compute_dtype
from nameplate.models.probing.looks import Look
from nameplate.models.probing.pixels import tiles_allowed, times_shrunk
from nameplate.models.probing.shelf import Shelf
from nameplate.models.processing import Processor
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.models.respondent import ANY_SIZE, Respondent
from nameplate.models.tiling import ImageSize
from nameplate.names import Matcher, Registry
from nameplate.progress import Progress, bar
from nameplate.recipe import Recipe
from nameplate.stages.probe.advice import conclude
from nameplate.stages.probe.baselines import Asking, Measured, measure_baselines, measure_text, read_held_out
from nameplate.stages.probe.counting import (
    Rights,
    by_name,
    by_support,
    by_text,
    gap_between,
    proportion,
    sure_share,
)
from nameplate.stages.probe.levels import Readings, read_levels
from nameplate.stages.probe.ocr import check_installed
from nameplate.stages.probe.results import (
    Baseline,
    Evidence,
    Gap,
    GapName,
    Level,
    ProbeChoices,
    ProbeSummary,
    RowCounts,
)
from nameplate.stages.probe.sample import Sample, draw_sample
from nameplate.stages.probe.texts import write_texts
from nameplate.store.files import write_text
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

PROMPT: Final = PROMPTS["name"]


class _Base(NamedTuple):
    """The untrained model."""

    folder: Path
    weights: str
    images: ImageCache

    @property
    def processor(self) -> Processor:
        return self.images.processor


class _Measured(NamedTuple):
    """All that was measured on the same rows."""

    sample: Sample
    readings: Readings
    baselines: dict[Baseline, Measured]
    has_text: list[bool] | None
    """Whether words can be read in each row's image; none: nobody looked."""

    @property
    def rights(self) -> Rights:
        """Whether each row came right, by level."""
        read = {level: each.right for level, each in self.readings.levels.items()}
        return {**read, Level.SAYS: self.baselines[Baseline.SAYS].right}


def run_probe(
    recipe: Recipe,
    choices: ProbeChoices,
    *,
    run: RunDirectory,
    split: str,
    registry: Registry,
    progress: Progress,
) -> ProbeSummary:
    """Look at the images with the untrained base, read names from what its parts make of them, and conclude.

    Writes `probe/probe.json`, and `probe/text.parquet` where words in images are read. What the base makes of an image,
    and what it says of it, is kept: a second probe of the same rows computes neither.

    Args:
        recipe: the experiment.
        choices: how to probe.
        run: with a finished split.
        split: fingerprint of the split.
        registry: the names.
        progress: shows how far it is.

    Raises:
        InputError: there are not two names to tell apart, an image is gone or broken, or no program that reads words.
        ModelError: the base cannot be loaded.
    """
    if choices.ocr:
        check_installed()
    sample = draw_sample(run, read="test" if choices.test else "validation", most=choices.rows, seed=choices.seed)
    folder = find_model(recipe.model.base)
    images = ImageCache(run.images, load_processor(folder, max_tiles=recipe.model.max_tiles))
    base = _Base(folder, weights_fingerprint(folder), images)
    with Journal(run.prediction_journal) as journal:
        asking = _asking(recipe, base, Matcher(registry), journal, seed=choices.seed, progress=progress)
        measured = _measure(asking, base, sample, run, ocr=choices.ocr)
    summary = _summary(recipe, base, measured, split=split, seed=choices.seed)
    write_text(run.probe_path, summary.model_dump_json(indent=2) + "\n")
    return summary


def _asking(
    recipe: Recipe, base: _Base, matcher: Matcher, journal: Journal, *, seed: int, progress: Progress
) -> Asking:
    section = recipe.score
    respondent = Respondent(
        base.folder,
        weights=base.weights,
        images=base.images,
        journal=journal,
        max_new_tokens=section.max_new_tokens,
        batch_size=section.batch_size,
    )
    return Asking(
        respondent=respondent,
        identity=(base.weights, base.processor.fingerprint, str(compute_dtype())),
        journal=journal,
        matcher=matcher,
        prompt=PROMPT,
        max_new_tokens=section.max_new_tokens,
        batch_size=section.batch_size,
        seed=seed,
        progress=progress,
    )


def _measure(asking: Asking, base: _Base, sample: Sample, run: RunDirectory, *, ocr: bool) -> _Measured:
    shelf = Shelf(run.looks, weights=base.weights, images=base.images, prompt=asking.prompt)
    looks = _look(asking, sample, shelf)
    readings = read_levels(looks, sample, seed=asking.seed, progress=asking.progress)
    baselines = measure_baselines(asking, sample, size=_common_size(sample))
    if not ocr:
        return _Measured(sample, readings, baselines, None)
    write_texts(run, read_held_out(asking, run))
    text, has_text = measure_text(asking, sample, store=run.images)
    return _Measured(sample, readings, baselines | {Baseline.TEXT_IN_IMAGE: text}, has_text)


def _look(asking: Asking, sample: Sample, shelf: Shelf) -> dict[str, Look]:
    known = shelf.known(sample.images)
    missing = [image for image in sample.images if image.sha256 not in known]
    with bar(asking.progress, "probe: look at the images", len(sample.images)) as advance:
        advance(len(sample.images) - len(missing))
        if missing:
            shelf.fill(asking.respondent.loaded, missing, batch_size=asking.batch_size, advance=advance)
    return shelf.known(sample.images) if missing else known


def _summary(recipe: Recipe, base: _Base, measured: _Measured, *, split: str, seed: int) -> ProbeSummary:
    sample, readings, rights = measured.sample, measured.readings, measured.rights
    train = Counter(row.name for row in sample.train)
    slices = [*by_support(sample.tried, rights, train)]
    if measured.has_text is not None:
        slices += by_text(sample.tried, rights, measured.has_text)
    evidence = _evidence(measured, base.processor, train, seed=seed)
    advice, findings, sentence, section = conclude(evidence)
    return ProbeSummary(
        nameplate=__version__,
        base=recipe.model.base,
        weights=base.weights,
        split=split,
        read=sample.read,
        prompt=PROMPT,
        counts=_counts(sample),
        readings=[each.figures for each in readings.every],
        ceiling=readings.ceiling.figures,
        levels={level: each.figures for level, each in readings.levels.items()},
        baselines=[measured.baselines[which].figures for which in Baseline if which in measured.baselines],
        evidence=evidence,
        slices=slices,
        by_name=by_name(sample.tried, rights, train),
        advice=advice,
        sentence=sentence,
        findings=findings,
        recipe=section,
    )


def _evidence(measured: _Measured, processor: Processor, train: Counter[str], *, seed: int) -> Evidence:
    rights, groups = measured.rights, [row.group for row in measured.sample.tried]
    return Evidence(
        rows=len(groups),
        names=len(measured.sample.names),
        median_per_name=median(train.values()),
        levels={level: proportion(sum(right), len(right)) for level, right in rights.items()},
        sure={level: sure_share(right, groups, seed=seed) for level, right in rights.items()},
        majority=measured.baselines[Baseline.MAJORITY].figures.scored.top1,
        gaps=_gaps(measured, groups, seed=seed),
        shrunk=times_shrunk(processor, _common_size(measured.sample)),
        tiles=tiles_allowed(processor),
    )


def _gaps(measured: _Measured, groups: Sequence[str], *, seed: int) -> dict[GapName, Gap]:
    """Between every two levels that the model shows."""
    rights = measured.rights
    eye, projector, answer = (rights.get(level) for level in (Level.EYE, Level.PROJECTOR, Level.ANSWER))
    says, given = rights[Level.SAYS], projector or eye
    pairs = {
        GapName.PROJECTOR: (eye, projector),
        GapName.CARRIED: (given, answer),
        GapName.UNSAID: (answer, says),
        GapName.LANGUAGE: (given or answer, says),
        GapName.CEILING: (measured.readings.ceiling.right, says),
        GapName.SEES: (says, measured.baselines[Baseline.BLANK].right),
        GapName.ROWS: (eye, measured.readings.half),
    }
    return {
        name: gap_between(more, less, groups, seed=seed)
        for name, (more, less) in pairs.items()
        if more is not None and less is not None
    }


def _common_size(sample: Sample) -> ImageSize:
    """The commonest size of the images that are read."""
    sizes = Counter(ImageSize(row.width, row.height) for row in sample.tried if row.width and row.height)
    return sizes.most_common(1)[0][0] if sizes else ANY_SIZE


def _counts(sample: Sample) -> RowCounts:
    return RowCounts(
        train=len(sample.train),
        train_total=sample.train_total,
        tried=len(sample.tried),
        tried_total=sample.tried_total,
        groups=len({row.group for row in sample.tried}),
        images=len(sample.images),
        left_out=sample.left_out,
    )
