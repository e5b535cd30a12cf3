"""From the page to its members: each a recipe of its own, with every problem said before any work."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nameplate.errors import RecipeError
from nameplate.recipe import Recipe, anchored, build_recipe, read_recipe_tree
from nameplate.sweep.overrides import nested, with_overrides
from nameplate.sweep.sections import MatrixSection, Sweep, label_of, read_sweep

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=,+-]*", re.ASCII)
LONGEST_NAME: Final = 120
SHOWN_PROBLEMS: Final = 4


@dataclass(frozen=True)
class Trial:
    """One member with one seed: one run."""

    member: str
    seed: int
    recipe: Recipe

    @property
    def key(self) -> str:
        """Name of its folder."""
        return f"{self.member}-seed-{self.seed}"


@dataclass(frozen=True)
class SweepPlan:
    """A page with its members worked out."""

    path: Path
    sweep: Sweep
    overrides: tuple[str, ...]
    """What the command line set for all members."""
    changes: Mapping[str, Mapping[str, Any]]
    """By member, in order: what it has other than the recipe."""
    trials: tuple[Trial, ...]
    """Seed by seed, so that every member has a first result early."""
    reference: str

    def of(self, member: str) -> list[Trial]:
        """A member's trials."""
        return [trial for trial in self.trials if trial.member == member]


def plan_sweep(path: Path, *, overrides: Sequence[str] = (), seeds: Sequence[int] | None = None) -> SweepPlan:
    """Read a sweep's page and build every member's recipe.

    Args:
        path: of the page.
        overrides: `section.field=value`, on top of every member.
        seeds: instead of the page's.

    Raises:
        RecipeError: the page or the recipe is not as it should be, or members cannot be; says which ones and why.
    """
    sweep = read_sweep(path)
    if seeds is not None:
        sweep = sweep.model_copy(update={"seeds": tuple(dict.fromkeys(seeds))})
    tree = with_overrides(read_recipe_tree(path.parent / sweep.recipe), anchored(nested(sweep.shared), path.parent))
    changes = {name: anchored(nested(own), path.parent) for name, own in _changes(sweep, where=str(path)).items()}
    reference = sweep.reference or next(iter(changes))
    if reference not in changes:
        raise RecipeError(
            f"{path}: reference", found=f"'{reference}'", expected="a member", fix=_near(reference, changes)
        )
    trials: list[Trial] = []
    problems: dict[str, str] = {}
    for seed, (name, own) in itertools.product(sweep.seeds or (None,), changes.items()):
        try:
            trials.append(_trial(name, with_overrides(tree, own), seed, overrides, title=sweep.title))
        except RecipeError as error:
            problems.setdefault(name, str(error))
    refuse(problems, where=str(path), total=len(changes))
    _check_distinct(trials, where=str(path))
    return SweepPlan(path, sweep, tuple(overrides), changes, tuple(trials), reference)


def refuse(problems: Mapping[str, str], *, where: str, total: int) -> None:
    """Stop a sweep some of whose members cannot be run.

    Args:
        problems: by member, what is wrong with it, its name included.
        where: the page lies.
        total: members.

    Raises:
        RecipeError: with the reasons of the first few.
    """
    if not problems:
        return
    shown = list(itertools.islice(problems.values(), SHOWN_PROBLEMS))
    more = f" and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
    raise RecipeError(
        where,
        found=f"{len(problems)} of {total} members cannot be run: {'; '.join(shown)}{more}",
        fix="mend them, or leave them out (matrix.except)",
    )


def _trial(name: str, tree: dict[str, Any], seed: int | None, overrides: Sequence[str], *, title: str) -> Trial:
    if seed is not None:
        tree = with_overrides(tree, {"train.seed": seed})
    if "title" not in tree.get("report", {}):
        tree = with_overrides(tree, {"report.title": f"{title}: {name}"})
    recipe = build_recipe(tree, where=f"member {name}", overrides=overrides)
    return Trial(name, recipe.train.seed, recipe)


def _changes(sweep: Sweep, *, where: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    crossed = _crossed(sweep.matrix, where=f"{where}: matrix") if sweep.matrix is not None else ()
    for name, own in itertools.chain(sweep.members.items(), crossed):
        if name in found:
            raise RecipeError(f"{where}: members.{name}", found="a combination of the matrix has this name, too")
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            raise RecipeError(
                f"{where}: member '{name}'",
                found="not a name for a folder",
                expected=f"at most {LONGEST_NAME} letters, digits and . _ = , + -",
                fix="give the choices of an axis labels: {short: {...}}",
            )
        if sweep.seeds is not None and "seed" in (nested(own).get("train") or {}):
            raise RecipeError(f"{where}: member '{name}'", found="it sets train.seed, and so does 'seeds'")
        found[name] = own
    if not found:
        raise RecipeError(f"{where}: matrix.except", found="no combination is left")
    return found


def _crossed(matrix: MatrixSection, *, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for rule in matrix.excluded:
        _check_rule(rule, matrix, where=f"{where}.except")
    for labels in itertools.product(*matrix.axes.values()):
        chosen = dict(zip(matrix.axes, labels, strict=True))
        if any(all(chosen[axis] in _labels(wanted) for axis, wanted in rule.items()) for rule in matrix.excluded):
            continue
        name = ",".join(f"{axis.removeprefix('train.')}={label}" for axis, label in chosen.items())
        yield name, {axis: matrix.axes[axis][label] for axis, label in chosen.items()}


def _check_rule(rule: Mapping[str, Any], matrix: MatrixSection, *, where: str) -> None:
    if not rule:
        raise RecipeError(where, found="an empty rule, which would leave everything out")
    for axis, wanted in rule.items():
        if axis not in matrix.axes:
            raise RecipeError(where, found=f"'{axis}'", expected="an axis", fix=_near(axis, matrix.axes))
        for label in _labels(wanted):
            if label not in matrix.axes[axis]:
                fix = _near(label, matrix.axes[axis])
                raise RecipeError(f"{where}: {axis}", found=f"'{label}'", expected="one of its choices", fix=fix)


def _labels(wanted: Any) -> list[str]:
    return [label_of(value) for value in (wanted if isinstance(wanted, list) else [wanted])]


def _near(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else "there are " + ", ".join(known)


def _check_distinct(trials: Sequence[Trial], *, where: str) -> None:
    for one, other in itertools.combinations(trials, 2):
        if one.member != other.member and _plain(one.recipe) == _plain(other.recipe):
            raise RecipeError(where, found=f"members {one.member} and {other.member} are the same", fix="leave one out")


def _plain(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(exclude={"report"})
