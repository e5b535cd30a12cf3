"""Vision, projector and language: an exact partition of a model's parameters, by accessor and never by name.

Rules of other projects freeze by substring, which silently freezes nothing or too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn
from transformers import InternVLForConditionalGeneration, PreTrainedModel

from nameplate.errors import ModelError
from nameplate.records import COMPONENTS, ComponentName


@dataclass(frozen=True)
class Component:
    """One part of a model."""

    name: ComponentName
    roots: dict[str, nn.Module]
    """Its topmost modules by their path in the model."""
    layers: tuple[nn.Module, ...]
    """Its repeated blocks, first to last; none for a projector."""
    parameters: dict[str, nn.Parameter]
    """By full name; a tied one appears once."""

    def linears(self) -> dict[str, nn.Linear]:
        """The linear modules inside its layers, by full path: what low-rank adapters may be put on."""
        blocks = {id(module) for layer in self.layers for module in layer.modules()}
        found: dict[str, nn.Linear] = {}
        for root_path, root in self.roots.items():
            for path, module in root.named_modules(prefix=root_path):
                if isinstance(module, nn.Linear) and id(module) in blocks:
                    found[path] = module
        return found


Components = dict[ComponentName, Component]


@dataclass(frozen=True)
class _Parts:
    roots: tuple[nn.Module, ...]
    layers: tuple[nn.Module, ...] = ()


_Accessor = Callable[[PreTrainedModel], dict[ComponentName, _Parts]]


def _internvl(model: PreTrainedModel) -> dict[ComponentName, _Parts]:
    assert isinstance(model, InternVLForConditionalGeneration)
    core = model.model
    tower, language = core.vision_tower, core.language_model
    return {
        "vision": _Parts((tower,), tuple(tower.encoder.layer)),
        "projector": _Parts((core.multi_modal_projector,)),
        "language": _Parts((language, model.lm_head), tuple(language.layers)),
    }


FAMILIES: dict[str, _Accessor] = {"internvl": _internvl}
"""Accessors by `model_type`."""


def check_family(model_type: object, *, where: str) -> None:
    """Refuse a model whose parts are not known.

    Raises:
        ModelError: with the families that are.
    """
    if model_type not in FAMILIES:
        raise ModelError(
            where,
            found=f"a model of the family {model_type!r}",
            expected="one of " + ", ".join(FAMILIES),
            fix="convert it to the native layout, or choose another base",
        )


def partition(model: PreTrainedModel) -> Components:
    """Divide a model's parameters: every one is in exactly one component.

    Raises:
        ModelError: the family is unknown, or a parameter is in no component or in two.
    """
    model_type = getattr(model.config, "model_type", None)
    check_family(model_type, where=type(model).__name__)
    paths = {id(module): path for path, module in model.named_modules()}
    owners: dict[int, ComponentName] = {}
    components: Components = {}
    for name, parts in FAMILIES[str(model_type)](model).items():
        roots = {paths[id(root)]: root for root in parts.roots}
        parameters = _own(roots.items(), name, owners)
        components[name] = Component(name, roots, parts.layers, parameters)
    for full_name, parameter in model.named_parameters():
        if id(parameter) not in owners:
            raise ModelError(type(model).__name__, found=f"parameter {full_name} belongs to no component")
    return {name: components[name] for name in COMPONENTS}


def _own(
    roots: Iterable[tuple[str, nn.Module]], name: ComponentName, owners: dict[int, ComponentName]
) -> dict[str, nn.Parameter]:
    parameters: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for path, root in roots:
        for inner, parameter in root.named_parameters(prefix=path):
            owner = owners.setdefault(id(parameter), name)
            if owner != name:
                raise ModelError("components", found=f"parameter {inner} belongs to {owner} and to {name}")
            if id(parameter) not in seen:
                seen.add(id(parameter))
                parameters[inner] = parameter
    return parameters
