"""Vision, projector and language: an exact partition of a model's parameters, by path and never by substring.

Rules of other projects freeze by substring, which silently freezes nothing or too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from nameplate.errors import ModelError
from nameplate.models.families import FAMILIES, Family, check_family, family_of
from nameplate.models.idle import idle_paths
from nameplate.records import COMPONENTS, ComponentName

__all__ = ["FAMILIES", "Component", "Components", "check_family", "partition"]


@dataclass(frozen=True)
class Component:
    """One part of a model."""

    name: ComponentName
    roots: dict[str, nn.Module]
    """The topmost modules wholly inside it, by their path in the model."""
    layers: tuple[nn.Module, ...]
    """Its repeated blocks that take part, first to last; none for most projectors."""
    parameters: dict[str, nn.Parameter]
    """By full name; a tied one appears once."""
    idle: frozenset[str] = frozenset()
    """Names of parameters that no answer depends on: they get no gradient."""
    embeddings: frozenset[str] = frozenset()
    """Names of the token embeddings' parameters."""
    head: frozenset[str] = frozenset()
    """Names of the output head's parameters; tied ones stand under both."""

    def linears(self) -> dict[str, nn.Linear]:
        """The linear modules inside its layers (inside all of it, where it has none), by full path.

        These are what low-rank adapters may be put on.
        """
        blocks = {id(module) for layer in self.layers for module in layer.modules()}
        found: dict[str, nn.Linear] = {}
        for root_path, root in self.roots.items():
            for path, module in root.named_modules(prefix=root_path):
                if isinstance(module, nn.Linear) and (not blocks or id(module) in blocks):
                    found[path] = module
        return found


Components = dict[ComponentName, Component]


def partition(model: PreTrainedModel) -> Components:
    """Divide a model's parameters: every one is in exactly one component.

    Raises:
        ModelError: the family is unknown or not built as expected, or a parameter is in no component or in two.
    """
    family = family_of(getattr(model.config, "model_type", None), where=type(model).__name__)
    owners = _owners(model, family)
    parameters = _parameters(model, owners)
    layers = _layers(model, family, owners)
    tower = next(path for path, name in owners.items() if name == "vision")
    idle_roots = idle_paths(model, family, tower=tower, layers=list(layers["vision"]))
    roots = _roots(model, parameters)
    embeddings, head = (_accessed(model, f"get_{which}_embeddings") for which in ("input", "output"))
    return {
        name: Component(
            name,
            roots[name],
            tuple(layer for path, layer in layers[name].items() if not _inside_any(path, idle_roots)),
            parameters[name],
            idle=frozenset(path for path in parameters[name] if _inside_any(path, idle_roots)),
            embeddings=_names(parameters[name], embeddings),
            head=_names(parameters[name], head),
        )
        for name in COMPONENTS
    }


def _owners(model: PreTrainedModel, family: Family) -> dict[str, ComponentName]:
    """Paths that a component begins at. The longest that a parameter's name starts with decides."""
    paths = {id(module): path for path, module in model.named_modules()}
    owners: dict[str, ComponentName] = {}
    towers = {
        "vision": [_accessed(model, "get_encoder", modality="image")],
        "language": [_accessed(model, "get_decoder"), _accessed(model, "get_output_embeddings")],
    }
    for part, modules in towers.items():
        for module in modules:
            # The accessors answer with the model itself, or its base, where they know nothing.
            if module is not None and module is not model and module is not model.base_model:
                owners[paths[id(module)]] = "vision" if part == "vision" else "language"
    stated: dict[ComponentName, tuple[str, ...]] = {
        "vision": family.vision,
        "language": family.language,
        "projector": family.projector,
    }
    for name, subpaths in stated.items():
        for subpath in subpaths:
            if _is_there(model, subpath, optional=subpath in family.optional):
                owners[_from_base(model, subpath)] = name
    if set(owners.values()) != set(COMPONENTS):
        lacking = ", ".join(sorted(set(COMPONENTS) - set(owners.values())))
        raise ModelError(type(model).__name__, found=f"it has no {lacking}", expected="a vision-language model")
    return owners


def _parameters(
    model: PreTrainedModel, owners: Mapping[str, ComponentName]
) -> dict[ComponentName, dict[str, nn.Parameter]]:
    holders: dict[int, ComponentName] = {}
    found: dict[ComponentName, dict[str, nn.Parameter]] = {name: {} for name in COMPONENTS}
    for full_name, parameter in model.named_parameters(remove_duplicate=False):
        owner = _owner(full_name, owners)
        if owner is None:
            raise ModelError(type(model).__name__, found=f"parameter {full_name} belongs to no component")
        if id(parameter) not in holders:
            holders[id(parameter)] = owner
            found[owner][full_name] = parameter
        elif holders[id(parameter)] != owner:
            raise ModelError(
                "components", found=f"parameter {full_name} belongs to {holders[id(parameter)]} and to {owner}"
            )
    return found


def _owner(name: str, owners: Mapping[str, ComponentName]) -> ComponentName | None:
    path = name
    while path:
        if path in owners:
            return owners[path]
        path = path.rpartition(".")[0]
    return None


def _roots(
    model: PreTrainedModel, parameters: Mapping[ComponentName, Mapping[str, nn.Parameter]]
) -> dict[ComponentName, dict[str, nn.Module]]:
    owner_of = {id(parameter): name for name, owned in parameters.items() for parameter in owned.values()}
    found: dict[ComponentName, dict[str, nn.Module]] = {name: {} for name in COMPONENTS}
    for path, module in model.named_modules():
        owners = {owner_of[id(parameter)] for parameter in module.parameters()}
        if len(owners) == 1:
            mine = found[owners.pop()]
            if not _inside_any(path, mine):
                mine[path] = module
    return found


def _layers(
    model: PreTrainedModel, family: Family, owners: Mapping[str, ComponentName]
) -> dict[ComponentName, dict[str, nn.Module]]:
    """Outermost blocks by component and path, in the order in which the model holds them."""
    listed = [_from_base(model, path) for path in family.layers]
    found: dict[ComponentName, dict[str, nn.Module]] = {name: {} for name in COMPONENTS}
    inside: str | None = None
    for path, module in model.named_modules():
        if inside is not None and _inside_any(path, [inside]):
            continue
        if isinstance(module, GradientCheckpointingLayer) or path.rpartition(".")[0] in listed:
            inside = path
            owner = _owner(path, owners)
            assert owner is not None, f"layer {path} has no owner, but its parameters have"
            found[owner][path] = module
    return found


def _accessed(model: PreTrainedModel, accessor: str, **arguments: str) -> nn.Module | None:
    found = getattr(model, accessor)(**arguments)
    return found if isinstance(found, nn.Module) else None


def _names(parameters: Mapping[str, nn.Parameter], module: nn.Module | None) -> frozenset[str]:
    mine = {id(parameter) for parameter in module.parameters()} if module is not None else set()
    return frozenset(name for name, parameter in parameters.items() if id(parameter) in mine)


def _from_base(model: PreTrainedModel, subpath: str) -> str:
    prefix = model.base_model_prefix if model.base_model is not model else ""
    return f"{prefix}.{subpath}" if prefix else subpath


def _is_there(model: PreTrainedModel, subpath: str, *, optional: bool) -> bool:
    holder: object = model.base_model
    for step in subpath.split("."):
        holder = getattr(holder, step, None)
    if holder is None and not optional:
        raise ModelError(
            type(model).__name__,
            found=f"it has no {subpath}, where its family keeps a part",
            fix="correct its entry in nameplate/models/families.py for this version of transformers",
        )
    return holder is not None


def _inside_any(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}.") for root in roots)
