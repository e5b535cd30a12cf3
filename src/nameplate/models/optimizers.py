"""Optimizers by name."""

from __future__ import annotations

import torch

from nameplate.models.groups import parameter_groups
from nameplate.models.policy import AppliedPolicies
from nameplate.recipe import OptimizerSection


def build_optimizer(section: OptimizerSection, applied: AppliedPolicies) -> torch.optim.Optimizer:
    """The optimizer over everything that learns, each component at its own rates."""
    return torch.optim.AdamW(parameter_groups(applied), betas=section.betas, eps=section.epsilon, fused=True)
