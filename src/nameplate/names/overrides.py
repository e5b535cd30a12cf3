"""The registry file that a person writes: `Display: {aliases: [...], policy: cased}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from nameplate.errors import InputError

MatchPolicy = Literal["plain", "cased"]
_SHAPE = "a mapping such as 'Saint Laurent: {aliases: [YSL], policy: plain}'"


class Override(NamedTuple):
    """What a person says about one name; `policy` none: decide by the common words."""

    display: str
    aliases: tuple[str, ...]
    policy: MatchPolicy | None


def read_overrides(path: Path) -> list[Override]:
    """Read a registry file, in its order.

    Raises:
        InputError: the file is missing, not YAML, or not of the expected shape.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), found="no such registry file", fix="check name.registry") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(str(path), found=f"cannot be read ({error})", expected="YAML in UTF-8") from None
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise InputError(str(path), found=f"a {type(tree).__name__}", expected=_SHAPE)
    return [_override(path, display, value) for display, value in tree.items()]


def _override(path: Path, display: Any, value: Any) -> Override:
    if not isinstance(display, str):
        # YAML reads an unquoted No, On or 1017 as a truth value or a number.
        raise InputError(f"{path}: {display}", found="the name is not a text", fix="put it in quotes")
    where = f"{path}: {display}"
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise InputError(where, found=f"a {type(value).__name__}", expected=_SHAPE)
    unknown = sorted(str(key) for key in value.keys() - {"aliases", "policy"})
    if unknown:
        raise InputError(where, found=f"unknown key '{unknown[0]}'", expected="aliases, policy")
    aliases = value.get("aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise InputError(f"{where}: aliases", found=repr(aliases), expected="a list of texts")
    policy = value.get("policy")
    if policy not in (None, "plain", "cased"):
        raise InputError(f"{where}: policy", found=repr(policy), expected="plain or cased")
    return Override(display, tuple(aliases), policy)
