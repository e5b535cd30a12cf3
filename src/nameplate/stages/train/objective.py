"""What is made small."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from nameplate.models.batches import FEATURES, PROJECTOR_INPUTS, Batch, loss_sum
from nameplate.models.features import projector_of
from nameplate.models.precision import autocast


def batch_loss(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Summed loss of one micro-batch; kept projector inputs go through the projector, which may learn."""
    with autocast(batch["input_ids"].device):
        if PROJECTOR_INPUTS in batch:
            features = projector_of(model)(batch[PROJECTOR_INPUTS])
            batch = {**batch, FEATURES: features}
        return loss_sum(model, batch)
