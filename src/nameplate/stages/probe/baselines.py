"""What the model says now, what it says blindly, and what needs no model at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nameplate.models.generate import generate
from nameplate.models.images import ImageKey
from nameplate.models.probing.blind import answer_without_image, see_blank
from nameplate.models.probing.closed import ClosedSet
from nameplate.models.respondent import Question, Respondent
from nameplate.models.tiling import ImageSize
from nameplate.names import Matcher, is_right
from nameplate.progress import Progress, bar
from nameplate.stages.probe.counting import rank, scored, scored_once
from nameplate.stages.probe.ocr import read_words
from nameplate.stages.probe.results import Baseline, BaselineFigures
from nameplate.stages.probe.sample import Sample
from nameplate.stages.probe.texts import held_out_images, is_text
from nameplate.store.fingerprint import fingerprint
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory


class Measured(NamedTuple):
    """One baseline, and whether it was right, row by row."""

    figures: BaselineFigures
    right: list[bool]


@dataclass(frozen=True)
class Asking:
    """What the baselines ask with."""

    respondent: Respondent
    identity: tuple[str, ...]
    """Of weights, preprocessing and number format."""
    journal: Journal
    matcher: Matcher
    prompt: str
    max_new_tokens: int
    batch_size: int
    seed: int
    progress: Progress


def measure_baselines(asking: Asking, sample: Sample, *, size: ImageSize) -> dict[Baseline, Measured]:
    """All that need nothing but the model.

    Args:
        asking: the model and how to ask it.
        sample: rows to judge on.
        size: of the grey image.
    """
    blind = _blind_answers(asking, size)
    found = [_majority(asking, sample), *(_constant(asking, sample, which, said) for which, said in blind.items())]
    found.append(_says(asking, sample))
    found += _closed(asking, sample, size)
    return {each.figures.baseline: each for each in found}


def read_held_out(asking: Asking, run: RunDirectory) -> dict[str, str]:
    """The words in every image of validation and test, by hash; of test no name is used, and no model is asked."""
    images = list(dict.fromkeys(ImageKey(row["image_sha256"], row["image_ext"]) for row in held_out_images(run)))
    with bar(asking.progress, "probe: words in images", len(images)) as advance:
        words = read_words(images, store=run.images, journal=asking.journal, advance=advance)
    return {image.sha256: text for image, text in words.items()}


def measure_text(asking: Asking, sample: Sample, *, store: ImageStore) -> tuple[Measured, list[bool]]:
    """Names among the words in the images, and whether there are words at all."""
    images = list(dict.fromkeys(row.image for row in sample.tried))
    words = read_words(images, store=store, journal=asking.journal, advance=lambda _: None)
    said = [words[row.image] for row in sample.tried]
    return _judged(asking, sample, Baseline.TEXT_IN_IMAGE, said), [is_text(text) for text in said]


def _majority(asking: Asking, sample: Sample) -> Measured:
    common = Counter(row.name for row in sample.train)
    order = [name for name, _ in sorted(common.items(), key=lambda pair: (-pair[1], pair[0]))]
    return _ranked(asking, sample, Baseline.MAJORITY, [order.index(row.name) for row in sample.tried], order[0])


def _constant(asking: Asking, sample: Sample, which: Baseline, said: str) -> Measured:
    measured = _judged(asking, sample, which, [said] * len(sample.tried))
    return measured._replace(figures=measured.figures.model_copy(update={"answer": said}))


def _says(asking: Asking, sample: Sample) -> Measured:
    questions = [Question(row.image, asking.prompt) for row in sample.tried]
    with bar(asking.progress, "probe: ask the base", len(set(questions))) as advance:
        answers = asking.respondent.answers(questions, advance)
    return _judged(asking, sample, Baseline.SAYS, [answers[question] for question in questions])


def _closed(asking: Asking, sample: Sample, size: ImageSize) -> list[Measured]:
    closed = ClosedSet(
        asking.respondent,
        identity=asking.identity,
        journal=asking.journal,
        prompt=asking.prompt,
        names=sample.names,
        batch_size=asking.batch_size,
    )
    images = list(dict.fromkeys(row.image for row in sample.tried))
    with bar(asking.progress, "probe: choose among names", len(images)) as advance:
        logs = closed.log_shares(images, advance)
    if logs is None:
        return []
    prior = closed.log_shares_blind(size)
    less = {image: [own - blind for own, blind in zip(shares, prior, strict=True)] for image, shares in logs.items()}
    return [
        _ranked(asking, sample, which, _ranks(sample, scores))
        for which, scores in ((Baseline.CLOSED, logs), (Baseline.CLOSED_LESS_PRIOR, less))
    ]


def _ranks(sample: Sample, scores: dict[ImageKey, list[float]]) -> list[int]:
    return [rank(scores[row.image], sample.names.index(row.name)) for row in sample.tried]


def _blind_answers(asking: Asking, size: ImageSize) -> dict[Baseline, str]:
    loaded = asking.respondent
    limit = asking.max_new_tokens

    def without() -> str:
        return answer_without_image(loaded.loaded, asking.prompt, size=size, max_new_tokens=limit)

    def before_grey() -> str:
        seen = see_blank(loaded.loaded, size)
        return generate(loaded.loaded, seen, [asking.prompt], max_new_tokens=limit)[0]

    ways: dict[Baseline, Callable[[], str]] = {Baseline.TEXT_ONLY: without, Baseline.BLANK: before_grey}
    return {which: _once(asking, which, size, ask) for which, ask in ways.items()}


def _once(asking: Asking, which: Baseline, size: ImageSize, ask: Callable[[], str]) -> str:
    key = fingerprint("blind-1", *asking.identity, which.value, size, asking.prompt, asking.max_new_tokens)
    kept = asking.journal.last(key)
    if kept is None:
        kept = {"answer": ask()}
        asking.journal.put(key, 0, kept)
    return str(kept["answer"])


def _judged(asking: Asking, sample: Sample, which: Baseline, said: Sequence[str]) -> Measured:
    pairs = zip(said, sample.tried, strict=True)
    right = [is_right(asking.matcher.judge(text, row.name)) for text, row in pairs]
    figures = scored_once(right, [row.name for row in sample.tried], seed=asking.seed)
    return Measured(BaselineFigures(baseline=which, answer=None, scored=figures), right)


def _ranked(
    asking: Asking, sample: Sample, which: Baseline, ranks: Sequence[int], answer: str | None = None
) -> Measured:
    names = [row.name for row in sample.tried]
    figures = scored(ranks, names, num_names=len(sample.names), seed=asking.seed)
    return Measured(BaselineFigures(baseline=which, answer=answer, scored=figures), [place == 0 for place in ranks])
