"""What is done to a model before its first step: for a training, and for the plan of one."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from nameplate.models.features import num_patches
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.precision import compute_dtype, frozen_dtype, lighten_step, set_training_attention
from nameplate.models.recompute import recompute_layers
from nameplate.recipe import TrainSection


def prepare_model(
    model: PreTrainedModel,
    section: TrainSection,
    *,
    stored: torch.dtype,
    longest: int | None = None,
    computing: torch.dtype | None = None,
) -> AppliedPolicies:
    """Lay a recipe's policies on a model, with attention, number formats and recomputation as its steps have them.

    Args:
        model: changed in place, on the device that it will train on; on the meta device, to be rehearsed.
        section: of the recipe.
        stored: number format of the base's files.
        longest: text that it will read, in tokens; none: attention stays as it is.
        computing: what matrix products are computed in; none: as this machine would.

    Raises:
        ModelError: the policies or number formats do not fit the model.
    """
    computing = computing or compute_dtype()
    if longest is not None:
        set_training_attention(model, section.memory.attention, longest=max(num_patches(model), longest))
    frozen = frozen_dtype(stored, learning=getattr(torch, section.memory.weights), computing=computing)
    applied = apply_policies(model, section.policies(), frozen_dtype=frozen, memory=section.memory)
    lighten_step(model, computing=computing)
    if section.memory.checkpointing:
        recompute_layers(applied)
    return applied
