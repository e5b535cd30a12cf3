"""One micro-batch rehearsed: the training's own forward and backward pass, watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import tree_map
from transformers import PreTrainedModel

from nameplate.models.batches import loss_sum
from nameplate.models.plan.ledger import Amount, Ledger, Owner, Work
from nameplate.models.plan.shapes import shaped, shapes_only
from nameplate.models.policy import AppliedPolicies
from nameplate.models.step.crossentropy import divided_as_on
from nameplate.records import ComponentName

HEAD = "head"


@dataclass(frozen=True)
class Shape:
    """A floating tensor that a layer was given."""

    sizes: torch.Size
    dtype: torch.dtype
    needs_gradient: bool


class Call(NamedTuple):
    """What a layer was called with: shapes in the place of floating tensors."""

    arguments: tuple[Any, ...]
    named: dict[str, Any]


class Rehearsal(NamedTuple):
    """What one micro-batch does and holds."""

    work: dict[Work, Amount]
    kept: int
    """Bytes at the end of the forward pass: what the backward pass needs, and the batch."""
    peak: int
    """The most bytes at once in both passes, gradients included, weights and optimizer not."""
    calls: dict[ComponentName, Call]
    """How the last layer of each component was called."""


def rehearse(
    model: PreTrainedModel,
    applied: AppliedPolicies,
    batch: Mapping[str, torch.Tensor],
    *,
    dtype: torch.dtype,
    accumulates: bool,
    device: str = "cpu",
) -> Rehearsal:
    """Run a micro-batch on a model without values (`shapes.without_values`).

    Args:
        model: under its policies.
        applied: those.
        batch: as training collates it; floating tensors may be on the meta device.
        dtype: what matrix products are computed in.
        accumulates: gradients of an earlier micro-batch are there already.
        device: kind of the one that the step will run on.
    """
    with shapes_only(), divided_as_on(device):
        return watch(model, applied, shaped(batch), dtype=dtype, accumulates=accumulates)


def watch(
    model: PreTrainedModel,
    applied: AppliedPolicies,
    batch: Mapping[str, torch.Tensor],
    *,
    dtype: torch.dtype,
    accumulates: bool,
) -> Rehearsal:
    """The same on whatever the model is made of: on real tensors it measures what `rehearse` predicts."""
    learning = list(applied.trainable().values())
    model.train()
    ledger = Ledger(owners_of(applied))
    calls: dict[ComponentName, Call] = {}
    with _noting_calls(applied, calls), _accumulating(learning) if accumulates else nullcontext(), ledger:
        batch = {name: tensor.clone() for name, tensor in batch.items()}
        with computing_in(dtype, model.device.type):
            loss = loss_sum(model, batch)
        kept = ledger.live
        ledger.backward = True
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    for parameter in learning:
        parameter.grad = None
    held = sum(parameter.nbytes for parameter in learning) if accumulates else 0
    return Rehearsal(ledger.work, kept, ledger.peak + held, calls)


def computing_in(dtype: torch.dtype, device: str = "cpu") -> AbstractContextManager[object]:
    """Training's autocast, for a number format of matrix products."""
    return torch.autocast(device, dtype=dtype, enabled=dtype == torch.bfloat16)


def owners_of(applied: AppliedPolicies) -> dict[torch.Tensor, Owner]:
    """Every parameter's place: its component and layer, or the head."""
    found: dict[torch.Tensor, Owner] = {}
    for name, component in applied.components.items():
        layer_of = {id(each): place for place, layer in enumerate(component.layers) for each in layer.parameters()}
        for path, parameter in component.parameters.items():
            part = HEAD if path in component.head else name
            found[parameter] = Owner(part, layer_of.get(id(parameter)))
    return found


@contextmanager
def _accumulating(learning: Sequence[nn.Parameter]) -> Iterator[None]:
    """Gradients go as soon as they would have been added to those that are there.

    Adding is in place for real tensors; for tensors without values torch makes a third one.
    """

    def drop(parameter: torch.Tensor) -> None:
        parameter.grad = None

    tensors: list[Any] = list(learning)
    hooks = [parameter.register_post_accumulate_grad_hook(drop) for parameter in tensors]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _noting_calls(applied: AppliedPolicies, calls: dict[ComponentName, Call]) -> Iterator[None]:
    hooks = []
    for name, component in applied.components.items():
        if component.layers and not isinstance(component.layers[-1], nn.ModuleList):

            def hook(
                _: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], name: ComponentName = name
            ) -> None:
                calls.setdefault(name, Call(tree_map(_shape, arguments), tree_map(_shape, named)))

            hooks.append(component.layers[-1].register_forward_pre_hook(hook, with_kwargs=True))
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _shape(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return Shape(value.shape, value.dtype, value.requires_grad)
    return value
