"""The questions that a model is asked, in training and in scoring."""

from __future__ import annotations

from collections.abc import Mapping

from nameplate.recipe import PromptName

Prompts = Mapping[PromptName, str]

PROMPTS: Prompts = {
    "short": "Describe this product in one sentence.",
    "detail": "Describe this product in detail.",
    "name": "Which brand is this product?",
}
"""By name. `detail` is answered with the caption and `name` with the display name when training."""
