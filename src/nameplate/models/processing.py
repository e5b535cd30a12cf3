"""The one way from an image, a prompt and an answer to what a model reads. It is saved with every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from PIL import Image
from transformers import PreTrainedTokenizerBase

from nameplate.errors import ModelError
from nameplate.models.imagebatch import ImageBatch, PreparedImage
from nameplate.models.tiling import ImageSize

IGNORED: Final = -100
"""Label of a token that carries no loss (the convention of torch's cross entropy)."""

_NOTHING: Final[Mapping[str, list[int]]] = MappingProxyType({})


class Span(NamedTuple):
    """Characters of a text, from `start` up to but not including `end`."""

    start: int
    end: int


class Encoded(NamedTuple):
    """Token ids and, of the same length, labels: `IGNORED` wherever no loss is."""

    input_ids: list[int]
    labels: list[int]
    kinds: Mapping[str, list[int]] = _NOTHING
    """What else a family wants to know of every token, by argument; InternVL wants nothing."""
    weights: Sequence[float] = ()
    """How much each label counts in the loss, one for every token; empty: all alike."""


class Processor(Protocol):
    """What training, scoring and answering need of a family's preprocessing."""

    tokenizer: PreTrainedTokenizerBase
    image_token_id: int
    end_id: int
    """Ends the model's turn; it is learned, and generation stops at it."""
    pad_id: int

    @property
    def by_size(self) -> bool:
        """Whether the number of image tokens depends on the image's size."""

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what the model reads for a given image and prompt."""

    def num_image_tokens(self, size: ImageSize) -> int:
        """Image tokens that stand for an upright image of a size: as many as the model makes features of it."""

    def prepare(self, image: bytes | Image.Image) -> PreparedImage:
        """An image as it is kept in memory: upright by EXIF, transparency over white.

        Raises:
            InputError: the bytes are no image.
        """

    def batch(self, images: Sequence[PreparedImage]) -> ImageBatch:
        """Prepared images as the model's arguments."""

    def encode(self, prompt: str, answer: str | None = None, *, size: ImageSize | None = None) -> Encoded:
        """Token ids up to the model's turn, and with an answer its tokens and the end of turn, which carry loss.

        The two parts are tokenised apart, so that training ends its question exactly as generation does. Nothing is
        ever cut off.

        Args:
            prompt: the question; one image comes with it.
            answer: none: the model is to give it.
            size: of the image; may be left out where every image has as many tokens.
        """

    def plain(self, text: str) -> str:
        """A text as `encode` writes it: without anything that opens a turn or stands for an image."""

    def answer_spans(self, answer: str) -> list[Span]:
        """For each token of an answer, its end of turn last: the characters of `plain(answer)` that it spells.

        Raises:
            ModelError: the tokenizer does not know them.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids up to the end of turn, without special tokens."""

    def save(self, folder: Path) -> None:
        """Write what `load_processor` reads into a model folder."""


def token_spans(tokenizer: PreTrainedTokenizerBase, text: str, *, skip: int = 0) -> list[Span]:
    """The characters of each token of a text, counted after the first `skip` characters.

    Raises:
        ModelError: the tokenizer is one that does not know.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            type(tokenizer).__name__,
            found="it does not say which characters a token spells",
            fix="set train.examples.name_weight to 1, or use a base with a fast tokenizer",
        )
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return [Span(max(start - skip, 0), max(end - skip, 0)) for start, end in found["offset_mapping"]]


def fix_size(size: ImageSize | None, *, fixed: bool) -> ImageSize:
    """The size, or any one where all images have the same number of tokens."""
    assert size is not None or fixed, "the number of image tokens depends on the image's size"
    return size or ImageSize(1, 1)
