"""What is made small."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from transformers import PreTrainedModel

from nameplate.models.batches import FEATURES, PROJECTOR_INPUTS, Batch, answer_losses
from nameplate.models.precision import autocast
from nameplate.models.prefix.looking import project


def give_losses(model: PreTrainedModel) -> None:
    """Let `model(batch=...)` give the losses of a micro-batch, as `batch_losses` does.

    What is wrapped around a model (DDP) or hooked into it (FSDP) works only for what goes through the model's own call.
    """
    module: Any = model
    forward = module.forward

    @wraps(forward)
    def run(*arguments: Any, batch: Batch | None = None, **named: Any) -> Any:
        return forward(*arguments, **named) if batch is None else batch_losses(model, batch)

    module.forward = run


def batch_losses(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Losses of one micro-batch at its `positions`, (K,), 0 in the padding at their end.

    Kept projector inputs go through the projector, which may learn.
    """
    with autocast(batch["input_ids"].device):
        if PROJECTOR_INPUTS in batch:
            batch = {**batch, FEATURES: project(model, batch[PROJECTOR_INPUTS])}
        return answer_losses(model, batch)


def batch_loss(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Weighted sum of the losses of one micro-batch."""
    losses: torch.Tensor = model(batch=batch)
    return (losses * batch["weights"]).sum()
