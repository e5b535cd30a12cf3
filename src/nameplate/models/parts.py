"""The table of a model's parts: how large each is, in which number format, and what of it learns how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from torch import nn

from nameplate.models.adapters import adapter_parameters
from nameplate.models.components import Component
from nameplate.models.groups import learning_rates
from nameplate.models.policy import AppliedPolicies
from nameplate.models.quantise import num_weights
from nameplate.summary import ComponentRow


def component_rows(applied: AppliedPolicies) -> list[ComponentRow]:
    """One row a component: base parameters, trainable ones (adapters included), layers, formats and rates."""
    return [_row(applied, component) for component in applied.components.values()]


def row_sentence(row: ComponentRow) -> str:
    """One row as a line of text: `vision: full, 240 of 240 parameters learn, at 1e-05, 24 layers, float32`."""
    parts = [f"{row.trainable:,} of {row.parameters:,} parameters learn" if row.trainable else "nothing learns"]
    if row.lr is not None and row.lowest_lr is not None:
        falling = f"{row.lowest_lr:.2g} to " if row.lowest_lr < row.lr else ""
        parts.append(f"at {falling}{row.lr:g}")
    if row.rank is not None:
        parts.append(f"rank {row.rank}")
    parts.extend(filter(None, [f"{row.layers} layers" if row.layers else "", row.dtype, row.ends]))
    if row.idle:
        parts.append(f"{row.idle:,} idle")
    return f"{row.component}: {row.mode}, {', '.join(parts)}"


def _row(applied: AppliedPolicies, component: Component) -> ComponentRow:
    policy = applied.policies[component.name]
    adapters = {key for root in component.roots.values() for key in adapter_parameters(root)}
    own = [parameter for parameter in component.parameters.values() if id(parameter) not in adapters]
    learning = [parameter for parameter in component.parameters.values() if parameter.requires_grad]
    rates = learning_rates(applied, component)
    ends = [
        f"{end} {'learn' if names & _learning_names(component) else 'frozen'}"
        for end, names in (("embeddings", component.embeddings), ("head", component.head))
        if names
    ]
    return ComponentRow(
        component=component.name,
        parameters=sum(map(num_weights, own)),
        trainable=sum(parameter.numel() for parameter in learning),
        mode=policy.mode,
        lr=None if rates is None else rates[1],
        lowest_lr=None if rates is None else rates[0],
        layers=len(component.layers),
        rank=policy.rank if policy.mode == "lora" else None,
        dtype=_formats(own),
        idle=sum(num_weights(component.parameters[name]) for name in component.idle),
        ends=", ".join(ends),
    )


def _learning_names(component: Component) -> set[str]:
    return {name for name, parameter in component.parameters.items() if parameter.requires_grad}


def _formats(parameters: Iterable[nn.Parameter]) -> str:
    counts: Counter[str] = Counter()
    for parameter in parameters:
        counts[str(parameter.dtype).removeprefix("torch.")] += num_weights(parameter)
    return "+".join(name for name, _ in counts.most_common())
