"""How each component of a model is trained, and the named presets for all three."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from pydantic import Field, field_validator, model_validator

from nameplate.recipe.base import Section
from nameplate.records import COMPONENTS

Mode = Literal["frozen", "full", "last", "layers", "lora"]
PresetName = Literal["frozen-language", "frozen-vision", "projector-only", "recommended", "everything"]

_RANGE = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


class ComponentPolicy(Section):
    """How one component of the model is trained."""

    mode: Mode = "frozen"
    """frozen: nothing; full: every parameter; last: its last `num_layers` layers; layers: those of `layers`; lora:
    low-rank adapters."""
    lr: float = Field(1.0e-5, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay on matrices; 0: off."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Each layer learns this many times as fast as the one after it; 1: off."""
    num_layers: int | None = Field(None, ge=1)
    """Number of last layers of this component, with `mode: last`."""
    layers: tuple[str, ...] | None = Field(None, min_length=1)
    """Layers of this component, counted from 0, both ends included, with `mode: layers`: ["0-3", "22", "23"]."""
    rank: int = Field(16, ge=1)
    """Rank, with `mode: lora`."""
    alpha: int = Field(32, ge=1)
    """Scale (alpha / rank), with `mode: lora`."""
    targets: tuple[str, ...] | None = Field(None, min_length=1)
    """Names of the linear modules that get adapters, with `mode: lora`, such as q_proj; none: all in its layers."""

    @field_validator("layers")
    @classmethod
    def _layers_are_ranges(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            first, last = parse_range(text)
            if last < first:
                raise ValueError(f"'{text}' runs backwards")
        return value

    @model_validator(mode="after")
    def _fields_go_with_their_mode(self) -> ComponentPolicy:
        for field, mode in (("num_layers", "last"), ("layers", "layers")):
            if (self.mode == mode) != (getattr(self, field) is not None):
                raise ValueError(f"{field} goes with mode: {mode}, and only there")
        if self.targets is not None and self.mode != "lora":
            raise ValueError("targets go with mode: lora, and only there")
        if self.layer_decay != 1 and self.mode in ("frozen", "lora"):
            raise ValueError("layer_decay goes with mode: full, last or layers")
        return self

    @property
    def learns(self) -> bool:
        """Whether anything of the component learns."""
        return self.mode != "frozen"


class LanguagePolicy(ComponentPolicy):
    """How the language model is trained. Where embeddings and head are one matrix, both must be said alike."""

    embeddings: Literal["by_mode", "frozen", "full"] = "by_mode"
    """The token embeddings; by_mode: they learn with `mode: full` only."""
    head: Literal["by_mode", "frozen", "full"] = "by_mode"
    """The output head; by_mode: it learns with `mode: full` only."""

    @model_validator(mode="before")
    @classmethod
    def _from_plain(cls, tree: object) -> object:
        return tree.model_dump(exclude_unset=True) if type(tree) is ComponentPolicy else tree

    @property
    def learns(self) -> bool:
        """Whether anything of the component learns."""
        return self.mode != "frozen" or "full" in (self.embeddings, self.head)


_FULL: Final = {"mode": "full", "weight_decay": 0.01}
_FROZEN: Final = {"mode": "frozen"}
PRESETS: Final[Mapping[PresetName, Mapping[str, Mapping[str, Any]]]] = {
    "frozen-language": {
        "vision": {"mode": "full", "lr": 1e-5},
        "projector": {"mode": "full", "lr": 1e-4},
        "language": _FROZEN,
    },
    "frozen-vision": {
        "vision": _FROZEN,
        "projector": {**_FULL, "lr": 4e-5},
        "language": {**_FULL, "lr": 4e-5},
    },
    "projector-only": {
        "vision": _FROZEN,
        "projector": {**_FULL, "lr": 2e-4},
        "language": _FROZEN,
    },
    "recommended": {
        "vision": {"mode": "full", "lr": 2e-6, "weight_decay": 0.05, "layer_decay": 0.75},
        "projector": {**_FULL, "lr": 4e-5},
        "language": {"mode": "lora", "lr": 1e-4, "rank": 64, "alpha": 128},
    },
    "everything": {
        "vision": {**_FULL, "lr": 1e-5},
        "projector": {**_FULL, "lr": 4e-5},
        "language": {**_FULL, "lr": 2e-5},
    },
}
"""frozen-language: the experiment that this tool comes from. frozen-vision, projector-only, everything: learning rates
and decay of InternVL 2.5's own stages (vision slower, as its users do). recommended: the trade of learning against
forgetting that component studies favour: an eye that moves a little, a thawed language model by adapters."""


UNSTATED: Final[Mapping[str, Mapping[str, Any]]] = {
    "vision": {"mode": "full", "lr": 1e-5},
    "projector": {"mode": "full", "lr": 1e-4},
    "language": _FROZEN,
}
"""What a recipe without a preset means where it says nothing of a component, or of its mode."""


def parse_range(text: str) -> tuple[int, int]:
    """First and last number of "4" or "0-3".

    Raises:
        ValueError: it is neither.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no layer and no range of layers such as 0-3")
    first = int(found[1])
    return first, int(found[2]) if found[2] is not None else first


def with_preset(tree: object) -> object:
    """A `train` section's tree with its preset's policies filled in; what the tree says of a component comes on top.

    Without a preset, a component of which only a rate is said keeps its mode: it must not freeze by being mentioned.

    Raises:
        ValueError: a component has another mode than the preset, so that one of them would be ignored.
    """
    if not isinstance(tree, dict):
        return tree
    if tree.get("preset") not in get_args(PresetName):
        return _with_modes(tree)
    name: PresetName = tree["preset"]
    filled = dict(tree)
    for part in COMPONENTS:
        wanted = PRESETS[name][part]
        said = tree.get(part, {})
        stated = said.model_dump(exclude_unset=True) if isinstance(said, ComponentPolicy) else said
        if not isinstance(stated, dict):
            continue
        if stated.get("mode", wanted["mode"]) != wanted["mode"]:
            raise ValueError(
                f"{part}.mode: {wanted['mode']}, as preset {name} says, not {stated['mode']}; leave one of them out"
            )
        filled[part] = {**wanted, **stated}
    return filled


def _with_modes(tree: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(tree)
    for part in COMPONENTS:
        said = tree.get(part)
        if isinstance(said, dict) and "mode" not in said:
            filled[part] = {**UNSTATED[part], **said}
    return filled
