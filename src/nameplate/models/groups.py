"""Which parameters the optimizer holds, at which learning rate and decay."""

from __future__ import annotations

from typing import Any

from torch import nn

from nameplate.models.components import Component
from nameplate.models.policy import AppliedPolicies
from nameplate.recipe import ComponentPolicy


def parameter_groups(applied: AppliedPolicies) -> list[dict[str, Any]]:
    """Optimizer groups: per component its own rate, no weight decay on vectors, and each layer apart where rates fall.

    With `layer_decay` the rate of layer i of n is `lr * layer_decay ** (n - i)`; what comes before the layers counts as
    layer -1, what comes after them learns at `lr` (BEiT's rule, arXiv 2106.08254).
    """
    groups: list[dict[str, Any]] = []
    for name, component in applied.components.items():
        policy = applied.policies[name]
        for layer, parameters in _by_layer(component, policy).items():
            place = name if layer is None else f"{name}.layer{layer:02d}"
            rate = policy.lr * _slowdown(policy, layer, len(component.layers))
            for kind, decay in (("matrices", policy.weight_decay), ("vectors", 0.0)):
                chosen = [each for each in parameters if (each.ndim >= 2) == (kind == "matrices")]
                if chosen:
                    groups.append({"params": chosen, "lr": rate, "weight_decay": decay, "name": f"{place}.{kind}"})
    return groups


def hidden_matrices(applied: AppliedPolicies) -> set[int]:
    """Ids of the learning matrices of linear modules inside the components; adapters, embeddings and head are none."""
    found: set[int] = set()
    for name, component in applied.components.items():
        if applied.policies[name].mode == "lora":
            continue
        ends = {id(component.parameters[end]) for end in component.embeddings | component.head}
        weights = {id(module.weight) for module in component.linears().values() if module.weight.requires_grad}
        found |= weights - ends
    return found


def learning_rates(applied: AppliedPolicies, component: Component) -> tuple[float, float] | None:
    """Lowest and highest peak rate of what learns in a component; none: nothing does."""
    policy = applied.policies[component.name]
    places = _by_layer(component, policy)
    rates = [policy.lr * _slowdown(policy, layer, len(component.layers)) for layer in places]
    return (min(rates), max(rates)) if rates else None


def _by_layer(component: Component, policy: ComponentPolicy) -> dict[int | None, list[nn.Parameter]]:
    """What learns, by layer: all under None where rates do not fall, else -1 before the layers, None after them."""
    layer_of: dict[int, int] = {}
    if policy.layer_decay != 1:
        for number, layer in enumerate(component.layers):
            layer_of.update({id(parameter): number for parameter in layer.parameters()})
    found: dict[int | None, list[nn.Parameter]] = {}
    first_met = not layer_of
    for parameter in component.parameters.values():
        first_met = first_met or id(parameter) in layer_of
        if parameter.requires_grad:
            place = layer_of.get(id(parameter)) if first_met else -1
            found.setdefault(place, []).append(parameter)
    return found


def _slowdown(policy: ComponentPolicy, layer: int | None, depth: int) -> float:
    return 1.0 if layer is None else policy.layer_decay ** (depth - layer)
