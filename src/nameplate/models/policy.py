"""What learns: the recipe's policies laid on a model's components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from peft import LoraConfig
from torch import nn
from transformers import PreTrainedModel

from nameplate.errors import ModelError
from nameplate.models.adapters import adapter_parameters, graft
from nameplate.models.components import Component, Components, partition
from nameplate.recipe import ComponentPolicy
from nameplate.records import ComponentName
from nameplate.summary import ComponentRow

Policies = Mapping[ComponentName, ComponentPolicy]


class AppliedPolicies(NamedTuple):
    """A model's components under their policies."""

    components: Components
    policies: Policies
    lora: LoraConfig | None
    """The adapters' configuration; none: no component has any."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """Every parameter that learns, by full name."""
        return {
            name: parameter
            for component in self.components.values()
            for name, parameter in component.parameters.items()
            if parameter.requires_grad
        }


def apply_policies(
    model: PreTrainedModel, policies: Policies, *, frozen_dtype: torch.dtype | None = None
) -> AppliedPolicies:
    """Freeze, thaw and graft; frozen parts stay in eval mode even when `model.train()` is called.

    Args:
        model: changed in place; whatever learns becomes float32.
        policies: one per component.
        frozen_dtype: number format of what does not learn; none: as it is.

    Raises:
        ModelError: nothing would learn, or a mode does not fit its component.
    """
    components = partition(model)
    lora = _graft(model, components, policies)
    components = partition(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    adapters = adapter_parameters(model)
    for name, component in components.items():
        for parameter in _learning(component, policies[name], adapters):
            parameter.requires_grad_(True)
    applied = AppliedPolicies(components, policies, lora)
    if not applied.trainable():
        raise ModelError("train", found="every component is frozen", fix="set the mode of one to full, lora or last")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
        elif frozen_dtype is not None:
            parameter.data = parameter.data.to(frozen_dtype)
    for module in _topmost_frozen(model):
        _keep_in_eval(module)
    return applied


def parameter_groups(applied: AppliedPolicies) -> list[dict[str, Any]]:
    """Optimizer groups: per component its own rate, and no weight decay on vectors."""
    groups: list[dict[str, Any]] = []
    for name, component in applied.components.items():
        policy = applied.policies[name]
        learning = [parameter for parameter in component.parameters.values() if parameter.requires_grad]
        for kind, decay in (("matrices", policy.weight_decay), ("vectors", 0.0)):
            chosen = [parameter for parameter in learning if (parameter.ndim >= 2) == (kind == "matrices")]
            if chosen:
                groups.append({"params": chosen, "lr": policy.lr, "weight_decay": decay, "name": f"{name}.{kind}"})
    return groups


def component_rows(applied: AppliedPolicies) -> list[ComponentRow]:
    """The table that says what learns: base parameters, trainable ones (adapters included), number of layers."""
    rows = []
    for name, component in applied.components.items():
        policy = applied.policies[name]
        parameters = component.parameters.values()
        adapters = {id(parameter) for root in component.roots.values() for parameter in _adapters_of(root)}
        rows.append(
            ComponentRow(
                component=name,
                parameters=sum(parameter.numel() for parameter in parameters if id(parameter) not in adapters),
                trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
                mode=policy.mode,
                lr=None if policy.mode == "frozen" else policy.lr,
                layers=len(component.layers),
            )
        )
    return rows


def _adapters_of(root: nn.Module) -> list[nn.Parameter]:
    return list(adapter_parameters(root).values())


def _graft(model: PreTrainedModel, components: Components, policies: Policies) -> LoraConfig | None:
    targets: dict[str, ComponentPolicy] = {}
    for name, component in components.items():
        if policies[name].mode == "lora":
            _need_layers(component, "lora")
            targets.update(dict.fromkeys(component.linears(), policies[name]))
    return graft(model, targets) if targets else None


def _learning(
    component: Component, policy: ComponentPolicy, adapters: Mapping[int, nn.Parameter]
) -> list[nn.Parameter]:
    mine = list(component.parameters.values())
    if policy.mode == "frozen":
        return []
    if policy.mode == "full":
        return mine
    if policy.mode == "lora":
        return [parameter for parameter in mine if id(parameter) in adapters]
    _need_layers(component, "last")
    wanted = policy.num_layers or 0
    if wanted > len(component.layers):
        raise ModelError(
            f"train.{component.name}.num_layers", found=str(wanted), expected=f"at most {len(component.layers)}"
        )
    return [parameter for layer in component.layers[-wanted:] for parameter in layer.parameters()]


def _need_layers(component: Component, mode: str) -> None:
    if not component.layers:
        raise ModelError(
            f"train.{component.name}.mode", found=f"{mode}, but it has no layers", expected="frozen or full"
        )


def _topmost_frozen(module: nn.Module) -> Iterator[nn.Module]:
    """Modules all of whose parameters are frozen, not those inside one another. A lone dropout follows its parent."""
    parameters = list(module.parameters())
    if not parameters:
        return
    if not any(parameter.requires_grad for parameter in parameters):
        yield module
        return
    for child in module.children():
        yield from _topmost_frozen(child)


def _keep_in_eval(module: nn.Module) -> None:
    module.eval()
    # Trainers call model.train() before every step; the attribute shadows the method for this module alone.
    module.train = partial(_stay, module)  # type: ignore[method-assign]  # that is the point


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return module
