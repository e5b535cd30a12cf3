"""Which model is asked, under which settings, and which names are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nameplate.errors import InputError, ModelError
from nameplate.models.locate import find_model
from nameplate.names import Registry, build_registry
from nameplate.recipe import Recipe, build_recipe, load_recipe
from nameplate.stages.score import read_scores
from nameplate.store.rundir import RunDirectory

BASE: Final = "base"


@dataclass(frozen=True)
class Asked:
    """The model that is asked."""

    name: str
    folder: Path
    recipe: Recipe
    """The settings of its run, or the usual ones; of it count `fetch.image`, `fetch.max_bytes`, `model.max_tiles` and
    `score.max_new_tokens`."""
    run: Path | None
    """The run directory that it belongs to."""

    @property
    def max_tiles(self) -> int | None:
        """Most tiles of an image, where the run or the command line says it; none: as the model's folder says."""
        section = self.recipe.model
        return section.max_tiles if "max_tiles" in section.model_fields_set else None


def find_checkpoint(text: str, overrides: Sequence[str] = ()) -> Asked:
    """The model that a text names.

    Args:
        text: RUN (the checkpoint that scoring chose), RUN:NAME (a checkpoint, or "base"), a checkpoint's folder, any
            model's folder, a Hub id, or "starter".
        overrides: `section.field=value`, over the run's recipe.

    Raises:
        InputError: the run has no such checkpoint, or none that was chosen.
        ModelError: there is no such model.
        RecipeError: an override does not fit.
    """
    head, colon, name = text.rpartition(":")
    if _is_run(Path(text)):
        return _of_run(Path(text), "", overrides)
    if colon and _is_run(Path(head)):
        return _of_run(Path(head), name, overrides)
    folder = Path(text)
    if folder.is_dir() and folder.resolve().parent.name == "checkpoints" and _is_run(folder.resolve().parent.parent):
        return _of_run(folder.resolve().parent.parent, folder.resolve().name, overrides)
    try:
        found = find_model(text)
    except ModelError as error:
        expected = "a run directory, RUN:CHECKPOINT, a model's folder, a Hub id or 'starter'"
        raise ModelError(f"checkpoint {text}", found=error.found, expected=expected, fix=error.fix) from None
    recipe = build_recipe({"table": {"source": ""}}, where="--set", overrides=overrides)
    return Asked(text, found, recipe, None)


def find_registry(text: str | None, asked: Asked) -> Registry | None:
    """The names to look for: of a run directory, of a registry file (YAML, or a run's JSON), or of the model's own run.

    Raises:
        InputError: there is no such registry, or it is malformed.
    """
    path = Path(text) if text is not None else asked.run
    if path is None:
        return None
    if path.is_dir():
        path = path / "ingest" / "registry.json"
    if not path.is_file():
        raise InputError(str(path), found="no such registry", fix="give a run, or a file that `nameplate names` wrote")
    if path.suffix.lower() in (".yaml", ".yml"):
        return build_registry({}, overrides=path)
    try:
        return Registry.from_json(path.read_text(encoding="utf-8"))
    except (InputError, UnicodeDecodeError):
        expected = "a run, its registry.json, or a .yaml file that `nameplate names` wrote"
        raise InputError(str(path), found="not a registry", expected=expected) from None


def _is_run(folder: Path) -> bool:
    return (folder / "manifest.json").is_file() and (folder / "recipe.yaml").is_file()


def _of_run(root: Path, name: str, overrides: Sequence[str]) -> Asked:
    recipe = load_recipe(root / "recipe.yaml", overrides)
    if name == BASE:
        return Asked(f"{root}:{BASE}", find_model(recipe.model.base), recipe, root)
    # Nothing of the store is read here, so none shall be made.
    run = RunDirectory(root, store=root)
    names = [path.name for pattern in ("epoch-*", "average-*") for path in sorted(run.checkpoints.glob(pattern))]
    if not name and not (run.folder("score") / "scores.json").exists():
        fix = f"run score first, or name one, such as {root}:{names[-1]}" if names else "run train first"
        raise InputError(str(root), found="no checkpoint has been chosen", fix=fix)
    name = name or read_scores(run).selected
    if name not in names:
        raise InputError(f"{root}:{name}", found="no such checkpoint", expected="one of " + ", ".join([*names, BASE]))
    return Asked(f"{root}:{name}", run.checkpoints / name, recipe, root)
