"""What can be known of members before any work: whether each can be run, and how much of it learns."""

from __future__ import annotations

from collections.abc import Mapping

from nameplate.errors import NameplateError
from nameplate.recipe import check_choices
from nameplate.summary import ComponentRow
from nameplate.sweep.members import SweepPlan, refuse

Parts = Mapping[str, list[ComponentRow]]
"""By member: the table of its parts."""


def check_members(plan: SweepPlan) -> Parts:
    """Lay every member's policies on its model, without reading the weights.

    Raises:
        RecipeError: some members cannot be run; says which ones and why.
    """
    from nameplate.models.blueprint import planned_parts

    parts: dict[str, list[ComponentRow]] = {}
    problems: dict[str, str] = {}
    for name in plan.changes:
        recipe = plan.of(name)[0].recipe
        try:
            check_choices(recipe, until="report")
            parts[name] = planned_parts(recipe.model.base, recipe.train)
        except NameplateError as error:
            problems[name] = f"member {name}: {error}"
    refuse(problems, where=str(plan.path), total=len(plan.changes))
    return parts
