"""Laying a member's overrides on the recipe, so that what it says of a component is what it gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from nameplate.recipe import TrainSection, merge_trees, with_preset
from nameplate.records import COMPONENTS, ComponentName

Tree = Mapping[str, Any]

_LAST: Final = re.compile(r"last-(\d+)", re.ASCII)
_PLAIN: Final = ("frozen", "full", "lora")
_OF_ONE_MODE: Final = ("num_layers", "layers", "targets", "layer_decay")
"""Fields of a policy that go with some modes only, and leave with them."""


def with_overrides(tree: Tree, overrides: Tree) -> dict[str, Any]:
    """A recipe's tree with a member's overrides on top.

    A stated preset takes the place of the recipe's policies; a stated mode takes the fields of another mode away. Where
    a policy is expected, `frozen`, `full`, `lora` and `last-2` stand for it.
    """
    stated = _spelled_out(nested(overrides))
    train, own = tree.get("train", {}), stated.get("train")
    if not isinstance(train, Mapping) or not isinstance(own, Mapping):
        return merge_trees(tree, stated)
    return merge_trees({**tree, "train": _making_way(train, own)}, stated)


def nested(overrides: Tree) -> dict[str, Any]:
    """Sections from fields with dots: `{"train.seed": 1}` becomes `{"train": {"seed": 1}}`."""
    tree: dict[str, Any] = {}
    for key, value in overrides.items():
        inner = nested(value) if isinstance(value, Mapping) else value
        for part in reversed(str(key).split(".")):
            inner = {part: inner}
        tree = merge_trees(tree, inner)
    return tree


def _spelled_out(tree: dict[str, Any]) -> dict[str, Any]:
    train = tree.get("train")
    if not isinstance(train, dict):
        return tree
    return {**tree, "train": {key: _policy(value) if key in COMPONENTS else value for key, value in train.items()}}


def _policy(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if last := _LAST.fullmatch(value):
        return {"mode": "last", "num_layers": int(last[1])}
    return {"mode": value} if value in _PLAIN else value


def _default(part: ComponentName) -> dict[str, Any]:
    return TrainSection().policies()[part].model_dump(exclude_unset=True)


def _making_way(train: Tree, own: Tree) -> dict[str, Any]:
    if "preset" in own:
        return {key: value for key, value in train.items() if key not in COMPONENTS}
    if "preset" not in train:
        # A rate alone must not take away the policy that a recipe has by saying nothing.
        train = {**{part: _default(part) for part in COMPONENTS if part in own}, **train}
    modes = {part: own[part]["mode"] for part in COMPONENTS if isinstance(own.get(part), dict) and "mode" in own[part]}
    if not modes:
        return dict(train)
    # The preset's policies stay where the member says nothing of them; its name would contradict what the member says.
    filled = with_preset(dict(train))
    assert isinstance(filled, dict)
    kept = {key: value for key, value in filled.items() if key != "preset"}
    for part, mode in modes.items():
        policy = kept.get(part)
        if isinstance(policy, Mapping) and policy.get("mode") != mode:
            kept[part] = {key: value for key, value in policy.items() if key not in _OF_ONE_MODE}
    return kept
