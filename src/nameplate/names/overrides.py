"""The registry file that a person writes: one entry a name, `Display: {aliases: [...], policy: cased}`."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import yaml

from nameplate.errors import InputError

MatchPolicy = Literal["plain", "cased", "context"]
POLICIES: Final[tuple[MatchPolicy, ...]] = get_args(MatchPolicy)
_KEYS: Final = ("aliases", "former_names", "parent", "line_of", "policy")
_SHAPE: Final = "a mapping such as 'Saint Laurent: {aliases: [YSL], policy: plain}'"


class Override(NamedTuple):
    """What a person says about one name; `policy` none: decided by its words."""

    display: str
    aliases: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    parent: str | None = None
    line_of: str | None = None
    policy: MatchPolicy | None = None


def read_overrides(path: Path) -> list[Override]:
    """Read a registry file, in its order.

    Raises:
        InputError: the file is missing, not YAML, has a name twice, or is not of the expected shape.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
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
    unknown = sorted(str(key) for key in value.keys() - set(_KEYS))
    if unknown:
        raise InputError(where, found=f"unknown key '{unknown[0]}'", expected=", ".join(_KEYS))
    policy = value.get("policy")
    if policy is not None and policy not in POLICIES:
        raise InputError(f"{where}: policy", found=repr(policy), expected=" or ".join(POLICIES))
    return Override(
        display,
        aliases=_texts(where, "aliases", value),
        former_names=_texts(where, "former_names", value),
        parent=_text(where, "parent", value),
        line_of=_text(where, "line_of", value),
        policy=policy,
    )


def _texts(where: str, key: str, value: dict[str, Any]) -> tuple[str, ...]:
    found = value.get(key) or []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InputError(f"{where}: {key}", found=repr(found), expected="a list of texts, numbers in quotes")
    return tuple(found)


def _text(where: str, key: str, value: dict[str, Any]) -> str | None:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise InputError(f"{where}: {key}", found=repr(found), expected="a text, a number in quotes")
    return found


class _Loader(yaml.CSafeLoader):  # a hundred thousand names are read in seconds, not in minutes
    """Refuses a name that stands twice: YAML itself would forget the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are all different."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: '{key}' stands above already, put both into one entry")
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)
