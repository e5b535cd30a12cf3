"""The split table, tokenised in every way that the recipe asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, chain, pairwise

from nameplate.errors import InputError, TrainingError
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.picturefolder import LEARNED
from nameplate.models.processing import Encoded, Span
from nameplate.models.prompts import Prompts
from nameplate.models.tiling import ImageSize
from nameplate.names import Matcher, Registry
from nameplate.recipe import ExamplesSection
from nameplate.stages.train.examples import TrainingRows
from nameplate.stages.train.texts import Texts
from nameplate.stages.train.unnamed import read_unnamed
from nameplate.stages.train.weighting import weighted
from nameplate.store.rundir import RunDirectory

_COLUMNS = ["row_id", "name", "caption", "qa_pairs", "image_sha256", "image_ext", "split"]


def read_training_rows(
    run: RunDirectory,
    images: ImageCache,
    prompts: Prompts,
    *,
    max_tokens: int,
    section: ExamplesSection | None = None,
) -> TrainingRows:
    """The rows of the split table that are to be trained on, in table order, and images without a name behind them.

    An example that is too long is refused, never cut: the cut could fall into its image.

    Raises:
        InputError: there are none, too few have pairs, or the images without a name are not what they should be.
        TrainingError: an example is longer than the model can read, or no answer says the name that shall weigh more.
    """
    section = section or ExamplesSection()
    rows = [row for row in run.tables("split").read_kept().select(_COLUMNS).to_pylist() if row["split"] == "train"]
    if not rows:
        raise InputError(
            str(run.folder("split")), found="no rows to train on", fix="lower split.min_per_name or give more listings"
        )
    unnamed = read_unnamed(
        section.unnamed, store=run.images, split=run.tables("split"), registry=partial(read_registry, run)
    )
    keys = (*(ImageKey(row["image_sha256"], row["image_ext"]) for row in rows), *unnamed.keys)
    writer = _Writer(images, section, run)
    sizes = images.sizes(keys)
    sized = list(zip(rows, sizes[: len(rows)], strict=True))
    denials = [writer.deny(prompts["name"], size) for size in sizes[len(rows) :]]
    others = (
        denial if caption is None else writer.write(prompts["detail"], caption, "", size)
        for denial, caption, size in zip(denials, unnamed.captions, sizes[len(rows) :], strict=True)
    )
    pairs = [row["qa_pairs"] or [] if section.question_answer_share > 0 else [] for row in rows]
    captions = (writer.write(prompts["detail"], row["caption"], row["name"], size) for row, size in sized)
    questions = (writer.name(prompts["name"], row["name"], size) for row, size in sized)
    found = TrainingRows(
        (*(row["row_id"] for row in rows), *(f"{LEARNED}/{name}" for name in unnamed.names)),
        (*(row["name"] for row in rows), *("" for _ in denials)),
        keys,
        Texts(chain(captions, others)),
        Texts(chain(questions, denials)),
        Texts(
            writer.write(pair["question"], pair["answer"], row["name"], size)
            for (row, size), own in zip(sized, pairs, strict=True)
            for pair in own
        ),
        tuple(accumulate([*map(len, pairs), *(0 for _ in denials)], initial=0)),
        len(rows),
    )
    _check_lengths(found, max_tokens)
    _check_pairs(found, section)
    writer.check_names(section)
    return found


class _Writer:
    """Encodes examples with the weights of their tokens."""

    def __init__(self, images: ImageCache, section: ExamplesSection, run: RunDirectory) -> None:
        self._processor = images.processor
        self._section = section
        self._matcher = Matcher(read_registry(run)) if section.name_weight != 1 else None
        self._num_naming = 0

    def write(self, prompt: str, answer: str, name: str, size: ImageSize | None) -> Encoded:
        """A question and an answer that may say the row's name."""
        text = self._processor.plain(answer)
        places = self._matcher.places(text, name) if self._matcher is not None and name else []
        self._num_naming += bool(places)
        return self._weighted(prompt, answer, [Span(*place) for place in places], size)

    def name(self, prompt: str, name: str, size: ImageSize | None) -> Encoded:
        """A question whose answer is the name and nothing else."""
        return self._weighted(prompt, name, [Span(0, len(self._processor.plain(name)))], size)

    def deny(self, prompt: str, size: ImageSize | None) -> Encoded:
        """The question for the name, and that there is none."""
        assert self._section.unnamed is not None
        return self._weighted(prompt, self._section.unnamed.answer, [], size)

    def check_names(self, section: ExamplesSection) -> None:
        """Refuse a weight of names that no answer has."""
        if self._matcher is not None and self._num_naming == 0 and section.name_question_share == 0:
            raise TrainingError(
                "train.examples.name_weight",
                found=f"{section.name_weight:g}, but no answer says its row's name",
                fix="leave it out, or set clean.require_name: true",
            )

    def _weighted(self, prompt: str, answer: str, places: Sequence[Span], size: ImageSize | None) -> Encoded:
        encoded = self._processor.encode(prompt, answer, size=size)
        if self._matcher is None or not places:
            return weighted(encoded, self._section)
        return weighted(encoded, self._section, spans=self._processor.answer_spans(answer), names=places)


def read_registry(run: RunDirectory) -> Registry:
    """The run's names.

    Raises:
        InputError: `ingest` has not written them.
    """
    try:
        return Registry.from_json(run.registry_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(run.registry_path), found="missing", fix="run ingest again") from None


def _check_lengths(rows: TrainingRows, max_tokens: int) -> None:
    too_long = {place for texts in (rows.captions, rows.questions) for place in _longer(texts, max_tokens)}
    for place in _longer(rows.pairs, max_tokens):
        too_long.add(next(row for row, (_, end) in enumerate(pairwise(rows.pair_starts)) if place < end))
    if too_long:
        raise TrainingError(
            f"row {rows.row_ids[min(too_long)]}",
            found=f"{len(too_long)} examples are longer than the model's {max_tokens} tokens",
            fix="lower model.max_tiles or clean.max_words",
        )


def _longer(texts: Texts, max_tokens: int) -> list[int]:
    found: list[int] = (texts.lengths > max_tokens).nonzero()[0].tolist()
    return found


def _check_pairs(rows: TrainingRows, section: ExamplesSection) -> None:
    share = section.question_answer_share
    having = sum(start < end for start, end in pairwise(rows.pair_starts))
    if having < round(share * rows.num_named):
        fix = f"lower it to {int(100 * having / rows.num_named) / 100:g}" if having else "set it to 0"
        raise InputError(
            f"train.examples.question_answer_share: {share:g}",
            found=f"{having} of {rows.num_named} training rows have questions and answers of the teacher",
            fix=f"{fix}, or caption with caption.template: question_answer",
        )
