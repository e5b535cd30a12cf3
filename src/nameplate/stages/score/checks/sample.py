"""The few questions that a model is checked with, the same for all models of a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final, NamedTuple

from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.respondent import Question

MOST_ROWS: Final = 16
MOST_TOKENS: Final = 16
"""Of an answer that is only compared: two that part do so early, and rounding has less time to part them."""


class Sample(NamedTuple):
    """Questions as one model sees them."""

    model: str
    loaded: LoadedModel
    seen: ImageBatch
    blank: ImageBatch
    """Grey images of the same sizes."""
    prompts: list[str]
    """One for each image, of different lengths."""
    max_new_tokens: int

    def __len__(self) -> int:
        return len(self.prompts)


def choose_rows(questions: Sequence[Question], prompts: Sequence[str]) -> list[Question]:
    """At most `MOST_ROWS` different images, by content and not by order, with the prompts in turn."""
    images = sorted({question.image for question in questions})[:MOST_ROWS]
    return [Question(image, prompt) for image, prompt in zip(images, islice(cycle(prompts), len(images)), strict=True)]
