"""What every section of a recipe is."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

PromptName = Literal["short", "detail", "name"]
"""Of the questions that models are asked."""


class Section(BaseModel):
    """A part of the recipe: frozen, comparable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
