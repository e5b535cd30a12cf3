"""Reading a recipe: what it extends, what the command line overrides, and errors that name the nearest known key."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from nameplate.errors import RecipeError
from nameplate.recipe.sections import Recipe


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe with what it extends, apply `section.field=value` overrides, and check every key.

    Relative paths (`table.source`, `table.image_root`, `name.registry`, `store`, a local `model.base`) start at the
    recipe's folder.

    Raises:
        RecipeError: the file is missing or malformed, or a key or value is not known.
    """
    return build_recipe(_read_tree(path, seen=()), where=str(path), overrides=overrides)


def build_recipe(tree: Mapping[str, Any], *, where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Apply `section.field=value` overrides to a parsed recipe and check it.

    Raises:
        RecipeError: with the place, what was found, and the nearest known key.
    """
    whole = copy.deepcopy(dict(tree))
    for override in overrides:
        _apply_override(whole, override)
    try:
        return Recipe.model_validate(whole)
    except ValidationError as error:
        raise _explain(error, where) from None


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every field written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_tree(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        raise RecipeError(str(path), found="it extends itself", fix="remove the circle of 'extends'")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(str(path), found="no such recipe", fix="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(str(path), found=f"cannot be read ({error})", expected="a YAML file in UTF-8") from None
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}" if place is not None else ""
        problem = getattr(error, "problem", None) or "malformed"
        raise RecipeError(f"{path}{line}", found=f"not YAML: {problem}") from None
    if not isinstance(tree, dict):
        raise RecipeError(str(path), found="not a mapping", expected="sections such as 'table:' and 'train:'")
    _anchor_paths(tree, path.parent)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    return _merge(_read_tree(path.parent / str(parent), (*seen, path)), tree)


def _anchor_paths(tree: dict[str, Any], folder: Path) -> None:
    """Make relative local paths absolute, so that a recipe means the same from any working directory."""
    for section, field in (("table", "source"), ("table", "image_root"), ("name", "registry"), ("model", "base")):
        part = tree.get(section)
        if not isinstance(part, dict) or not isinstance(part.get(field), str) or "://" in part[field]:
            continue
        local = folder / part[field]
        # A Hub id such as OWNER/NAME stays as it is unless a folder of that name stands beside the recipe.
        if section != "model" or local.exists():
            part[field] = str(local.resolve())
    if isinstance(tree.get("store"), str):
        tree["store"] = str((folder / tree["store"]).resolve())


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _apply_override(tree: dict[str, Any], override: str) -> None:
    name, sign, text = override.partition("=")
    keys = name.strip().split(".")
    if not sign or not all(keys):
        raise RecipeError(f"--set {override}", found="not an assignment", expected="section.field=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    node = tree
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise RecipeError(f"--set {override}", found=f"'{key}' is a value", expected="a section")
        node = child
    node[keys[-1]] = value


def _explain(error: ValidationError, where: str) -> RecipeError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        fix = f"did you mean '{near[0]}'?" if near else ""
        return RecipeError(f"{where}: {place}", found="unknown key", expected="one of " + ", ".join(known), fix=fix)
    if first["type"] == "missing":
        return RecipeError(f"{where}: {place}", found="missing", fix=f"add '{place}: ...'")
    found = _without_passwords(json.dumps(first.get("input"), ensure_ascii=False, default=str))
    if len(found) > 80:
        found = found[:77] + "..."
    expected = first["msg"].removeprefix("Value error, ")
    return RecipeError(f"{where}: {place}", found=f"{found} is not accepted", expected=expected)


def _without_passwords(text: str) -> str:
    """Addresses without user, password and query: an error is often copied into a log or a question to others."""
    return re.sub(r"(?<=://)[^\s/\"@]*@|\?[^\s\"]*", "...", text) if "://" in text else text


def _known_keys(path: Sequence[int | str]) -> list[str]:
    section: type[BaseModel] = Recipe
    for key in path:
        field: FieldInfo | None = section.model_fields.get(str(key))
        annotation = field.annotation if field is not None else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return list(section.model_fields)
