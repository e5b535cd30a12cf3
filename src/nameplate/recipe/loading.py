"""Reading a recipe: what it extends, what the command line overrides, and errors that name the nearest known key."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, get_args

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
    return build_recipe(read_recipe_tree(path), where=str(path), overrides=overrides)


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
        raise explain_invalid(error, Recipe, where=where) from None


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every field written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_recipe_tree(path: Path) -> dict[str, Any]:
    """A recipe as it is written, on top of what it extends, its relative paths made absolute; not checked.

    Raises:
        RecipeError: a file is missing or malformed, or extends itself.
    """
    return _read_extending(path, seen=())


def read_page(path: Path, *, kind: str = "recipe") -> dict[str, Any]:
    """One YAML page.

    Args:
        path: of the file.
        kind: what it is, for errors.

    Raises:
        RecipeError: the file is missing, or no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(str(path), found=f"no such {kind}", fix="check the path") from None
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
        raise RecipeError(str(path), found="not a mapping", expected="keys with values, such as 'table: ...'")
    return tree


def _read_extending(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        raise RecipeError(str(path), found="it extends itself", fix="remove the circle of 'extends'")
    tree = read_page(path)
    tree = anchored(tree, path.parent)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    return merge_trees(_read_extending(path.parent / str(parent), (*seen, path)), tree)


def anchored(tree: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A tree whose relative local paths start at `folder`, so that it means the same from any working directory."""
    whole = copy.deepcopy(dict(tree))
    for section, field in (("table", "source"), ("table", "image_root"), ("name", "registry"), ("model", "base")):
        part = whole.get(section)
        if not isinstance(part, dict) or not isinstance(part.get(field), str) or "://" in part[field]:
            continue
        local = folder / part[field]
        # A Hub id such as OWNER/NAME stays as it is unless a folder of that name stands beside the recipe.
        if section != "model" or local.exists():
            part[field] = str(local.resolve())
    for *way, field in (("score", "guards", "unnamed"), ("train", "examples", "unnamed", "images")):
        place: Any = whole
        for step in way:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict) and isinstance(place.get(field), str):
            place[field] = str((folder / place[field]).resolve())
    if isinstance(whole.get("store"), str):
        whole["store"] = str((folder / whole["store"]).resolve())
    return whole


def merge_trees(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`top` over `base`, section by section."""
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge_trees(merged[key], value) if both else value
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


def explain_invalid(error: ValidationError, root: type[BaseModel], *, where: str) -> RecipeError:
    """The first complaint about a page, with its place, what was found, and the nearest known key."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the page"
    if first["type"] == "extra_forbidden":
        known = _known_keys(root, first["loc"][:-1])
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


def _known_keys(section: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    for key in path:
        field: FieldInfo | None = section.model_fields.get(str(key))
        annotation = field.annotation if field is not None else None
        inner = [each for each in (annotation, *get_args(annotation)) if _is_section(each)]
        if not inner:
            return []
        section = inner[0]
    return [field.alias or name for name, field in section.model_fields.items()]


def _is_section(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
