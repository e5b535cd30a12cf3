"""The text before every image, which no example changes: where the language model is frozen, it is read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
from transformers import PreTrainedModel

from nameplate.models.answering.reading import sees_all_before
from nameplate.models.policy import AppliedPolicies
from nameplate.models.processing import Encoded
from nameplate.models.step.textbefore import ATTENTIONS

LEAST_SHARE: Final = 0.02
"""Of all tokens, before it is done. A layer then takes 1 % to 2 % less time; with 1 token of 208 it took no less."""
LANGUAGES: Final = frozenset({"qwen2", "qwen3", "llama"})
"""Kinds of language models that tests cover. Elsewhere nobody has looked."""
_FIXED_ROTATIONS: Final = frozenset({"default", "linear", "dynamic", "llama3", "yarn"})
"""A token's keys depend on its place alone; `dynamic` only beyond the longest text that may be trained on."""


class ConstantText(NamedTuple):
    """Text that was read once."""

    ids: tuple[int, ...]
    inputs: Mapping[str, torch.Tensor]
    """What each batch has of it: see `models.step.textbefore`."""

    def behind(self, encoded: Encoded) -> Encoded:
        """What of an example stands behind the text."""
        num_before = len(self.ids)
        if not num_before:
            return encoded
        assert tuple(encoded.input_ids[:num_before]) == self.ids, "an example that begins otherwise"
        assert not encoded.kinds, "a family that no test covers"
        return Encoded(
            encoded.input_ids[num_before:], encoded.labels[num_before:], weights=encoded.weights[num_before:]
        )


NO_TEXT: Final = ConstantText((), {})
"""Every example is read whole."""


def common_start(questions: Iterable[Sequence[int]], *, image_token_id: int) -> tuple[int, ...]:
    """The tokens that all questions begin with, up to their image."""
    start: list[int] = []
    for tokens in zip(*questions, strict=False):
        if tokens[0] == image_token_id or len(set(tokens)) > 1:
            break
        start.append(tokens[0])
    return tuple(start)


def why_in_every_pass(model: PreTrainedModel, applied: AppliedPolicies, *, share: float) -> str:
    """Why text before the images must be read in every pass, or had better be; empty: it may be read once.

    Args:
        model: as it will train.
        applied: its policies.
        share: of all tokens, the text's.
    """
    text: Any = model.config.get_text_config()
    attention = str(model.config._attn_implementation)
    if any(parameter.requires_grad for parameter in applied.components["language"].parameters.values()):
        return "the language model learns"
    if not (sees_all_before(model) and text.model_type in LANGUAGES and _rotation(text) in _FIXED_ROTATIONS):
        return f"no test covers {model.config.model_type} with this language model ({text.model_type})"
    if attention not in ATTENTIONS:
        return f"no test covers it with attention {attention}"
    if model.device.type != "cpu":
        return f"it was never measured on {model.device.type}"
    return f"it is {share:.1%} of all tokens" if share < LEAST_SHARE else ""


def _rotation(text: Any) -> str:
    return str((getattr(text, "rope_parameters", None) or {}).get("rope_type", "default"))
