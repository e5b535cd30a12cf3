"""How many tokens and tiles a table of images will cost, before any model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nameplate.models.processing import IGNORED, Processor
from nameplate.models.tiling import ImageSize


class TokenCounts(NamedTuple):
    """One example: what stands for its image, its words, and what carries loss."""

    image: int
    text: int
    """Prompt, frame and answer."""
    answer: int
    """Of them, those that carry loss."""

    @property
    def total(self) -> int:
        """Length of the sequence."""
        return self.image + self.text


class TokenPlan(NamedTuple):
    """All examples of a table."""

    examples: tuple[TokenCounts, ...]
    """One for each size given, in order."""
    image_tokens: Counter[int]
    """How many images are of how many tokens."""

    @property
    def total(self) -> int:
        """Tokens of all examples together."""
        return sum(each.total for each in self.examples)

    @property
    def longest(self) -> int:
        """Length of the longest example; 0 without any."""
        return max((each.total for each in self.examples), default=0)

    def too_long(self, max_tokens: int) -> list[int]:
        """Places of examples that do not fit. They are never cut: the cut could fall into an image."""
        return [place for place, each in enumerate(self.examples) if each.total > max_tokens]


def plan_tokens(
    processor: Processor, sizes: Sequence[ImageSize], prompt: str, answers: Sequence[str] | None = None
) -> TokenPlan:
    """Count the tokens of one question about each image, exactly as training and generation make them.

    Args:
        processor: of the model.
        sizes: of the upright images.
        prompt: asked about each.
        answers: as many as images; none: they are not known yet, and only the question counts.
    """
    examples = []
    for size, answer in zip(sizes, answers if answers is not None else [None] * len(sizes), strict=True):
        encoded = processor.encode(prompt, answer, size=size)
        image = encoded.input_ids.count(processor.image_token_id)
        supervised = sum(label != IGNORED for label in encoded.labels)
        examples.append(TokenCounts(image, len(encoded.input_ids) - image, supervised))
    return TokenPlan(tuple(examples), Counter(each.image for each in examples))
