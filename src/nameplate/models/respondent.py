"""One model that is asked about images, and never twice: what it says and what surprises it is kept in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from PIL import Image

from nameplate.models.answering.decoding import ROWS_FACTOR
from nameplate.models.answering.reading import can_read
from nameplate.models.features import vision_features
from nameplate.models.generate import Answer, Asked, answer_all
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.precision import best_device, compute_dtype
from nameplate.models.prefix.shared import SharedSight, can_share
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.processing import Processor
from nameplate.models.step.allocator import freed_memory_kept
from nameplate.models.surprise import TokenLoss, text_losses, token_losses
from nameplate.models.tiling import ImageSize
from nameplate.store.fingerprint import fingerprint
from nameplate.store.journal import Journal

Item = TypeVar("Item")
Advance = Callable[[int], None]

BLANK_GREY = (127, 127, 127)
"""The blank image is all of this colour: what a model says of it comes from its language alone."""
ANY_SIZE = ImageSize(64, 64)
LOOKED_BYTES = 256 << 20
"""Of what is seen of images before questions about them are read; one batch may be more."""


class Question(NamedTuple):
    """One image and one question in words."""

    image: ImageKey
    prompt: str


class Text(NamedTuple):
    """A text, read as the answer to a question about an image, or about a blank one in its place."""

    image: ImageKey
    prompt: str
    text: str
    blank: bool = False


class Respondent:
    """A model folder that answers; it is loaded when the journal lacks something.

    Args:
        folder: of the model.
        weights: fingerprint of its weights.
        images: prepared for the model.
        journal: append-only; answers have the keys that scoring gives them, so that neither asks the other's again.
        max_new_tokens: longest answer.
        batch_size: images or texts per batch.
        kept: where the outputs of a vision tower lie that other models have, too; none: they are computed here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        weights: str,
        images: ImageCache,
        journal: Journal,
        max_new_tokens: int,
        batch_size: int,
        kept: PrefixStore | None = None,
    ) -> None:
        self.num_computed = 0
        """Answers and texts that the journal lacked."""
        self._folder = folder
        self._images = images
        self._journal = journal
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size
        self._kept = kept
        self._blank: dict[ImageSize | None, ImageBatch] = {}
        # Not the cheapest thing, and the same for every key.
        self._identity = (weights, images.processor.fingerprint, str(compute_dtype()))

    def known(self, questions: Sequence[Question]) -> dict[Question, Answer]:
        """Answers that the journal has; those of older versions, which did not say how they ended, are not counted."""
        keys = {question: self._answer_key(question) for question in questions}
        kept = self._journal.last_many(list(keys.values()))
        found = {question: kept[key] for question, key in keys.items() if "finish" in kept.get(key, {})}
        return {
            question: Answer(entry["answer"], entry["finish"], entry["confidence"]) for question, entry in found.items()
        }

    def answers(self, questions: Sequence[Question], advance: Advance) -> dict[Question, str]:
        """The texts of `replies`."""
        return {question: reply.text for question, reply in self.replies(questions, advance).items()}

    def replies(self, questions: Sequence[Question], advance: Advance) -> dict[Question, Answer]:
        """Greedy answers to all questions; an image is looked at once for several prompts."""
        known = self.known(questions)
        advance(len(known))
        missing: dict[ImageKey, list[Question]] = {}
        for question in dict.fromkeys(questions):
            if question not in known:
                missing.setdefault(question.image, []).append(question)
        if missing:
            with freed_memory_kept():
                for images, seen in self._looks(list(missing)):
                    asked = [(place, question) for place, image in enumerate(images) for question in missing[image]]
                    for said in self._answer(seen, asked):
                        known |= said
                        self.num_computed += len(said)
                        advance(len(said))
        return known

    def token_losses(self, texts: Sequence[Text], advance: Advance) -> dict[Text, list[TokenLoss]]:
        """The loss of every token of every text."""
        kept = self._recall("tokens", texts, advance)
        known = {text: [TokenLoss(*token) for token in value] for text, value in kept.items()}
        for part, seen, prompt in self._to_read(texts, known):
            read = token_losses(self.loaded, seen, prompt, [text.text for text in part])
            self._remember("tokens", part, read)
            known |= zip(part, read, strict=True)
            advance(len(part))
        return known

    def text_losses(self, texts: Sequence[Text], advance: Advance) -> dict[Text, float]:
        """The loss of every text, summed over its tokens; takes less room in the journal."""
        known = {text: float(value) for text, value in self._recall("nats", texts, advance).items()}
        for part, seen, prompt in self._to_read(texts, known):
            read = text_losses(self.loaded, seen, prompt, [text.text for text in part])
            self._remember("nats", part, read)
            known |= zip(part, read, strict=True)
            advance(len(part))
        return known

    @cached_property
    def loaded(self) -> LoadedModel:
        """The model, loaded when it is first asked for."""
        return load_to_ask(self._folder, self._images.processor)

    def rest(self) -> None:
        """Let go of the model; it is loaded again when the journal lacks something."""
        for each in ("loaded", "_sight"):
            self.__dict__.pop(each, None)
        self._blank.clear()

    @cached_property
    def _sight(self) -> SharedSight | None:
        model = self.loaded.model
        return SharedSight(model, self._images, self._kept) if self._kept is not None and can_share(model) else None

    def see(self, images: Sequence[ImageKey]) -> ImageBatch:
        """What the model sees of images."""
        if self._sight is not None:
            return self._sight.see(images)
        return vision_features(self.loaded.model, self._images.batch(images))

    def see_blank(self, images: Sequence[ImageKey]) -> ImageBatch:
        """What the model sees of grey images of the same sizes."""
        return self._seen([Text(image, "", "", blank=True) for image in images])

    def _see_blank(self, size: ImageSize | None) -> ImageBatch:
        if size not in self._blank:
            processor = self.loaded.processor
            blank = processor.prepare(Image.new("RGB", size or ANY_SIZE, BLANK_GREY))
            self._blank[size] = vision_features(self.loaded.model, processor.batch([blank]))
        return self._blank[size]

    def _looks(self, images: Sequence[ImageKey]) -> Iterator[tuple[list[ImageKey], ImageBatch]]:
        """Several batches of images where what is seen of them takes little room: answers want larger batches."""
        most = self._batch_size * (ROWS_FACTOR if can_read(self.loaded) else 1)
        held, seen = list[ImageKey](), ImageBatch((), ())
        for part in parts(images, self._batch_size):
            held, seen = [*held, *part], seen + self.see(part)
            if len(held) >= most or seen.num_bytes >= LOOKED_BYTES:
                yield held, seen
                held, seen = [], ImageBatch((), ())
        if held:
            yield held, seen

    def _answer(self, seen: ImageBatch, asked: Sequence[tuple[int, Question]]) -> Iterator[dict[Question, Answer]]:
        """Answers as they end, already in the journal."""
        for ended in answer_all(
            self.loaded,
            seen,
            [Asked(place, question.prompt) for place, question in asked],
            max_new_tokens=self._max_new_tokens,
            rows_at_once=self._batch_size,
        ):
            said = {asked[each.number][1]: each.answer for each in ended}
            self._journal.put_many((self._answer_key(question), 0, _entry(one)) for question, one in said.items())
            yield said

    def _to_read(
        self, texts: Sequence[Text], known: Mapping[Text, object]
    ) -> Iterator[tuple[Sequence[Text], ImageBatch, str]]:
        """Batches of what is not known, of one question each; an image's texts together, so that it is seen once."""
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        for prompt in dict.fromkeys(text.prompt for text in missing):
            own = sorted(
                (text for text in missing if text.prompt == prompt),
                key=lambda text: (text.image, len(text.text)),
            )
            for part in parts(own, self._batch_size):
                yield part, self._seen(part), prompt
                self.num_computed += len(part)

    def _seen(self, texts: Sequence[Text]) -> ImageBatch:
        """What the model sees with each text."""
        images = list(dict.fromkeys(text.image for text in texts if not text.blank))
        seen = self.see(images) if images else ImageBatch((), ())
        sizes = self._images.sizes([text.image for text in texts])
        one_each = [
            self._see_blank(size) if text.blank else seen.pick([images.index(text.image)])
            for text, size in zip(texts, sizes, strict=True)
        ]
        return ImageBatch(
            tuple(size for one in one_each for size in one.sizes),
            tuple(part for one in one_each for part in one.inputs),
        )

    def _recall(self, what: str, texts: Sequence[Text], advance: Advance) -> dict[Text, Any]:
        keys = {text: self._text_key(what, text) for text in texts}
        kept = self._journal.last_many(list(keys.values()))
        known = {text: kept[key][what] for text, key in keys.items() if key in kept}
        advance(len(known))
        return known

    def _remember(self, what: str, texts: Sequence[Text], values: Sequence[object]) -> None:
        pairs = zip(texts, values, strict=True)
        self._journal.put_many((self._text_key(what, text), 0, {what: value}) for text, value in pairs)

    def _text_key(self, what: str, text: Text) -> str:
        # A blank image is the same for all images, unless its size decides how many tokens stand for it.
        (size,) = self._images.sizes([text.image]) if text.blank else (None,)
        image = f"blank {size}" if text.blank else text.image.sha256
        return fingerprint(what, *self._identity, image, text.prompt, text.text)

    def _answer_key(self, question: Question) -> str:
        weights, processing, dtype = self._identity
        return fingerprint(weights, question.image.sha256, question.prompt, processing, dtype, self._max_new_tokens)


def _entry(said: Answer) -> dict[str, Any]:
    return {"answer": said.text, "finish": said.finish, "confidence": said.confidence}


def load_to_ask(folder: Path, processor: Processor) -> LoadedModel:
    """A model on the best device, in the number format that answers are computed in.

    Args:
        folder: of the model.
        processor: prepared what the model will be shown; it takes the place of the folder's own.

    Raises:
        ModelError: see `load_model`.
    """
    loaded = load_model(str(folder), dtype=compute_dtype())._replace(processor=processor)
    module: torch.nn.Module = loaded.model
    module.to(best_device())
    return loaded


def parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Items in pieces of a size, the last one perhaps smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
