"""How much each token of an answer counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nameplate.models.processing import IGNORED, Encoded, Span
from nameplate.recipe import ExamplesSection, Weighting

_POWERS: Final[Mapping[Weighting, float]] = {"token": 0.0, "square": 0.5, "sample": 1.0}
"""An answer's weights are divided by their sum to this power."""

NamePlaces = Callable[[str], Sequence[Span]]
"""Where an answer says its row's name."""


def weighted(
    encoded: Encoded, section: ExamplesSection, *, spans: Sequence[Span] = (), names: Sequence[Span] = ()
) -> Encoded:
    """An example with the weights of its tokens; without any where all tokens of all answers count alike.

    Over a step, the loss is the sum of weight times loss over the sum of weights. With `square` a token of an answer of
    n tokens weighs 1 / sqrt(n), as InternVL2.5 was trained (arXiv 2412.05271, 3.3); with `sample` 1 / n.

    Args:
        encoded: question and answer.
        section: of the recipe.
        spans: of the answer's tokens, in characters; only needed where the name has a weight of its own.
        names: where the answer says the name.
    """
    if section.weighting == "token" and section.name_weight == 1:
        return encoded
    num_tokens = sum(label != IGNORED for label in encoded.labels)
    if names:
        assert len(spans) == num_tokens, "the tokenizer gives other tokens with their places than without"
        own = [section.name_weight if _spells(span, names) else 1.0 for span in spans]
    else:
        own = [1.0] * num_tokens
    scale = sum(own) ** -_POWERS[section.weighting]
    asked = len(encoded.labels) - num_tokens
    return encoded._replace(weights=[*[0.0] * asked, *(each * scale for each in own)])


def _spells(token: Span, names: Sequence[Span]) -> bool:
    return any(token.start < name.end and name.start < token.end for name in names)
