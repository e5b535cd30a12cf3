"""`sweep.yaml`: one recipe, and what its members do differently. Frozen like a recipe; unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nameplate.recipe import Section, explain_invalid, read_page

Overrides = dict[str, Any]
"""What a member has other than the recipe: sections as in a recipe, or fields with dots (`train.vision.lr: 1.0e-4`)."""


def _labelled(choices: object) -> object:
    """A list of plain values under their own text."""
    return {label_of(value): value for value in choices} if isinstance(choices, list) else choices


Axis = Annotated[dict[str, Any], BeforeValidator(_labelled), Field(min_length=1)]


class MatrixSection(Section):
    """Every combination of several choices, less those that are left out."""

    model_config = ConfigDict(validate_by_name=False)

    axes: dict[str, Axis] = Field(min_length=1)
    """By field with dots: a list of values, or a mapping from label to value."""
    excluded: tuple[dict[str, Any], ...] = Field((), alias="except")
    """Combinations to leave out: for some of the axes a value or label, or a list of them."""


class Sweep(Section):
    """What is swept."""

    recipe: str
    """The recipe that all members start from; a relative path starts at this page's folder."""
    title: str = "Freeze sweep"
    """Heading of the page."""
    reference: str | None = None
    """Member that all others are compared with; none: the first."""
    seeds: tuple[int, ...] | None = Field(None, min_length=1)
    """`train.seed` of each member's trainings, all of them run; none: the recipe's seed alone."""
    shared: Overrides = Field({})
    """What all members have other than the recipe."""
    members: dict[str, Overrides] = Field({})
    """Members by name, each with what it alone has other than the recipe."""
    matrix: MatrixSection | None = None
    """Members by combination; they come after those with names of their own."""

    @model_validator(mode="after")
    def _has_members(self) -> Sweep:
        if not self.members and self.matrix is None:
            raise ValueError("members, or a matrix")
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds that are all different")
        return self


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep's page.

    Raises:
        RecipeError: the file is missing or malformed, or a key is not known.
    """
    try:
        return Sweep.model_validate(read_page(path, kind="sweep"))
    except ValidationError as error:
        raise explain_invalid(error, Sweep, where=str(path)) from None


def label_of(value: object) -> str:
    """What a plain value is called in a member's name, as YAML writes it."""
    if isinstance(value, float):
        return f"{value:g}"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
