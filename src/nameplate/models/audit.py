"""One real batch through the model, to see that exactly what should learn does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from nameplate.errors import ModelError, TrainingError
from nameplate.models.policy import AppliedPolicies


def audit_gradients(
    model: PreTrainedModel,
    applied: AppliedPolicies,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], torch.Tensor],
) -> None:
    """Run one forward and backward pass and look at every parameter; gradients are cleared afterwards.

    Args:
        model: under its policies.
        applied: what they are.
        optimizer: must hold exactly the trainable parameters.
        loss: computes the loss of one batch.

    Raises:
        TrainingError: the loss or a gradient is not finite.
        ModelError: a trainable parameter gets no gradient, a frozen one gets one, or the optimizer holds others.
    """
    _check_optimizer(applied, optimizer)
    value = loss()
    if not bool(torch.isfinite(value)):
        raise TrainingError("train", found=f"the loss of the first batch is {value.item()}", fix="check the base model")
    torch.autograd.backward(value)
    try:
        for name, parameter in model.named_parameters():
            _check_parameter(name, parameter)
    finally:
        model.zero_grad(set_to_none=True)


def _check_parameter(name: str, parameter: torch.nn.Parameter) -> None:
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
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    for identity, name in trainable.items():
        if held.count(identity) != 1:
            raise ModelError(name, found=f"should learn, but the optimizer holds it {held.count(identity)} times")
    if set(held) - set(trainable):
        raise ModelError("optimizer", found="holds parameters that should not learn")
