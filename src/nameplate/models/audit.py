"""One real batch through the model, to see that exactly what should learn does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils import _pytree as pytree
from transformers import PreTrainedModel

from nameplate.errors import ModelError, TrainingError
from nameplate.models.policy import AppliedPolicies
from nameplate.records import ComponentName


class GradientAudit(NamedTuple):
    """What one batch has shown. It is only returned where everything is as it should be."""

    loss: float
    learning: dict[ComponentName, int]
    """Tensors that learn and got a finite gradient, by component."""
    norms: dict[ComponentName, float]
    """Norm of their gradient."""
    frozen: int
    """Tensors that do not learn, and got none."""
    without_graph: int
    """Modules before everything that learns, whose outputs carry no graph."""

    def sentence(self) -> str:
        """The audit in a line."""
        parts = [
            f"{name} {count} tensors, gradient {self.norms[name]:.3g}"
            for name, count in self.learning.items()
            if count > 0
        ]
        return (
            f"gradient audit passed on one batch: {'; '.join(parts)}; {self.frozen} frozen tensors got none; "
            f"{self.without_graph} frozen modules ran without a graph"
        )


def audit_gradients(
    model: PreTrainedModel,
    applied: AppliedPolicies,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], torch.Tensor],
) -> GradientAudit:
    """Run one forward and backward pass and look at every parameter; gradients are cleared afterwards.

    Args:
        model: under its policies.
        applied: what they are.
        optimizer: must hold exactly the trainable parameters.
        loss: computes the loss of one batch.

    Raises:
        TrainingError: the loss or a gradient is not finite.
        ModelError: a trainable parameter gets no gradient, a frozen one gets one, the optimizer holds others, or the
            output of a frozen module before everything that learns carries a graph.
    """
    _check_optimizer(applied, optimizer)
    with _watched(applied.untouched) as carriers:
        value = loss()
    if carriers:
        raise ModelError(carriers[0], found="frozen, and nothing before it learns, but its output carries a graph")
    if not bool(torch.isfinite(value)):
        raise TrainingError("train", found=f"the loss of the first batch is {value.item()}", fix="check the base model")
    try:
        torch.autograd.backward(value)
        for name, parameter in model.named_parameters():
            _check_parameter(name, parameter)
        return _found(applied, float(value.detach()))
    finally:
        model.zero_grad(set_to_none=True)


def _found(applied: AppliedPolicies, loss: float) -> GradientAudit:
    learning: dict[ComponentName, int] = {}
    norms: dict[ComponentName, float] = {}
    frozen = 0
    for name, component in applied.components.items():
        gradients = [each.grad for each in component.parameters.values() if each.grad is not None]
        learning[name] = len(gradients)
        norms[name] = float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0
        frozen += len(component.parameters) - len(gradients)
    return GradientAudit(loss, learning, norms, frozen, len(applied.untouched))


@contextmanager
def _watched(modules: Mapping[str, nn.Module]) -> Iterator[list[str]]:
    """Collect the paths of modules whose outputs ask for a gradient."""
    carriers: list[str] = []

    def watch(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(_: nn.Module, __: Any, output: Any) -> None:
            leaves = pytree.tree_leaves(dict(output) if isinstance(output, Mapping) else output)
            if any(isinstance(leaf, torch.Tensor) and leaf.requires_grad for leaf in leaves):
                carriers.append(path)

        return look

    hooks = [module.register_forward_hook(watch(path)) for path, module in modules.items()]
    try:
        yield carriers
    finally:
        for hook in hooks:
            hook.remove()


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    gradient = parameter.grad
    if not parameter.requires_grad:
        if gradient is not None:
            raise ModelError(name, found="frozen, but it gets a gradient")
        return
    if gradient is None:
        raise ModelError(
            name, found="should learn, but gets no gradient from a real batch", fix="freeze it, or use another mode"
        )
    if not bool(torch.isfinite(gradient).all()):
        raise TrainingError(name, found="its gradient is not finite on the first batch", fix="lower the learning rates")


def _check_optimizer(applied: AppliedPolicies, optimizer: torch.optim.Optimizer) -> None:
    trainable = {id(parameter): name for name, parameter in applied.trainable().items()}
    held = Counter(id(parameter) for group in optimizer.param_groups for parameter in group["params"])
    for identity, name in trainable.items():
        if held[identity] != 1:
            raise ModelError(name, found=f"should learn, but the optimizer holds it {held[identity]} times")
    if set(held) - set(trainable):
        raise ModelError("optimizer", found="holds parameters that should not learn")
