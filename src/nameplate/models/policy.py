"""What learns: the recipe's policies laid on a model's components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from peft import LoraConfig
from torch import nn
from transformers import PreTrainedModel

from nameplate.errors import ModelError
from nameplate.models.adapters import adapter_parameters, graft
from nameplate.models.components import Component, Components, partition
from nameplate.models.quantise import quantise_linears
from nameplate.recipe import ComponentPolicy, LanguagePolicy, MemorySection, parse_range
from nameplate.records import ComponentName

Policies = Mapping[ComponentName, ComponentPolicy]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class AppliedPolicies(NamedTuple):
    """A model's components under their policies."""

    components: Components
    policies: Policies
    lora: LoraConfig | None
    """The adapters' configuration; none: no component has any."""
    untouched: dict[str, nn.Module]
    """The topmost frozen modules before anything that learns, by path: they run without a graph."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """Every parameter that learns, by full name."""
        return {
            name: parameter
            for component in self.components.values()
            for name, parameter in component.parameters.items()
            if parameter.requires_grad
        }


def apply_policies(
    model: PreTrainedModel,
    policies: Policies,
    *,
    frozen_dtype: torch.dtype | None = None,
    memory: MemorySection | None = None,
) -> AppliedPolicies:
    """Freeze, thaw, graft and quantise. Frozen parts stay in eval mode even when `model.train()` is called.

    Args:
        model: changed in place, on the device that it will train on.
        policies: one per component.
        frozen_dtype: number format of what does not learn; none: as it is.
        memory: number format of what learns, and whether the frozen language model is quantised; none: float32, not.

    Raises:
        ModelError: nothing would learn, or a mode does not fit its component.
    """
    memory = memory or MemorySection()
    components = partition(model)
    for component in components.values():
        _check_fit(component, policies[component.name])
    lora = _graft(model, components, policies)
    components = partition(model)
    adapters = adapter_parameters(model)
    learning = {id(each) for part in components.values() for each in _learning(part, policies[part.name], adapters)}
    if not learning:
        raise ModelError("train", found="every component is frozen", fix="set the mode of one to full, lora or last")
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in learning)
        dtype = _DTYPES[memory.weights] if parameter.requires_grad else frozen_dtype
        if dtype is not None:
            parameter.data = parameter.data.to(dtype)
    if memory.quantise is not None:
        quantise_linears(model, components["language"].linears(), kind=memory.quantise)
        components = partition(model)
    untouched = _without_graph(components)
    for _, module in _topmost_frozen("", model):
        _keep_in_eval(module)
    return AppliedPolicies(components, policies, lora, untouched)


def _check_fit(component: Component, policy: ComponentPolicy) -> None:
    where = f"train.{component.name}"
    depth = len(component.layers)
    if policy.mode in ("last", "layers") and not depth:
        raise ModelError(f"{where}.mode", found=f"{policy.mode}, but it has no layers", expected="frozen, full or lora")
    if policy.layer_decay != 1 and not depth:
        raise ModelError(f"{where}.layer_decay", found="it has no layers", fix="leave it out")
    if policy.mode == "last" and (policy.num_layers or 0) > depth:
        raise ModelError(f"{where}.num_layers", found=str(policy.num_layers), expected=f"at most {depth}")
    for text in policy.layers or ():
        if parse_range(text)[1] >= depth:
            raise ModelError(f"{where}.layers", found=text, expected=f"its layers, which are 0-{depth - 1}")
    if isinstance(policy, LanguagePolicy):
        _check_ends(component, policy)


def _check_ends(component: Component, policy: LanguagePolicy) -> None:
    states = {name: _end_learns(policy, name) for name in ("embeddings", "head")}
    if component.embeddings & component.head and states["embeddings"] != states["head"]:
        said = ", ".join(f"{name}: {'full' if learns else 'frozen'}" for name, learns in states.items())
        raise ModelError(
            "train.language", found=f"{said}, but in this model they are one matrix", fix="state both alike"
        )


def _end_learns(policy: ComponentPolicy, end: str) -> bool:
    stated = getattr(policy, end, "by_mode")
    return bool(stated == "full" or (stated == "by_mode" and policy.mode == "full"))


def _graft(model: PreTrainedModel, components: Components, policies: Policies) -> LoraConfig | None:
    targets: dict[str, ComponentPolicy] = {}
    for name, component in components.items():
        policy = policies[name]
        if policy.mode == "lora":
            targets.update(dict.fromkeys(_adapter_targets(component, policy), policy))
    return graft(model, targets) if targets else None


def _adapter_targets(component: Component, policy: ComponentPolicy) -> list[str]:
    linears = list(component.linears())
    leaves = {path.rpartition(".")[2] for path in linears}
    absent = sorted(set(policy.targets or ()) - leaves)
    if absent or not linears:
        raise ModelError(
            f"train.{component.name}.targets",
            found=", ".join(absent) or "it has no linear module",
            expected=f"names of linear modules: {', '.join(sorted(leaves))}" if leaves else "frozen or full",
        )
    return [path for path in linears if policy.targets is None or path.rpartition(".")[2] in policy.targets]


def _learning(
    component: Component, policy: ComponentPolicy, adapters: Mapping[int, nn.Parameter]
) -> Iterator[nn.Parameter]:
    inside = {id(parameter) for layer in _chosen_layers(component, policy) for parameter in layer.parameters()}
    for name, parameter in component.parameters.items():
        if name in component.idle:
            continue
        if name in component.embeddings or name in component.head:
            end = "embeddings" if name in component.embeddings else "head"
            learns = _end_learns(policy, end)
        elif policy.mode == "lora":
            learns = id(parameter) in adapters
        else:
            learns = policy.mode == "full" or id(parameter) in inside
        if learns:
            yield parameter


def _chosen_layers(component: Component, policy: ComponentPolicy) -> Iterable[nn.Module]:
    if policy.mode == "last":
        return component.layers[-(policy.num_layers or 0) :]
    chosen: list[nn.Module] = []
    for text in policy.layers or ():
        first, last = parse_range(text)
        chosen.extend(component.layers[first : last + 1])
    return chosen


def _without_graph(components: Components) -> dict[str, nn.Module]:
    """Make what comes before every learning parameter run under `no_grad`; the modules by path.

    Nothing there would ask for a graph, but libraries make the embeddings' outputs ask for one (PEFT and transformers
    do, for checkpointing), and then a frozen tower keeps all its activations.
    """
    untouched: dict[str, nn.Module] = {}
    for component in components.values():
        if any(parameter.requires_grad for parameter in component.parameters.values()):
            break
        for path, root in component.roots.items():
            untouched.update(_callable_parts(path, root))
    for module in untouched.values():
        module.forward = torch.no_grad()(module.forward)
    return untouched


def _callable_parts(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        for name, child in module.named_children():
            yield from _callable_parts(f"{path}.{name}", child)
    else:
        yield path, module


def _topmost_frozen(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules all of whose parameters are frozen, not those inside one another. A lone dropout follows its parent."""
    parameters = list(module.parameters())
    if not parameters:
        return
    if not any(parameter.requires_grad for parameter in parameters):
        yield path, module
        return
    for name, child in module.named_children():
        yield from _topmost_frozen(f"{path}.{name}", child)


def _keep_in_eval(module: nn.Module) -> None:
    module.eval()
    # Trainers call model.train() before every step; the attribute shadows the method for this module alone.
    module.train = partial(_stay, module)  # type: ignore[method-assign]  # that is the point


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return module
