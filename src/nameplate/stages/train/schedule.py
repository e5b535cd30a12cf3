"""How learning rates move."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import get_cosine_schedule_with_warmup


def cosine(
    optimizer: torch.optim.Optimizer, *, warmup_share: float, total: int, done: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Cosine to zero after a linear rise, set to where `done` of `total` steps leave it."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    build: Callable[..., torch.optim.lr_scheduler.LRScheduler] = get_cosine_schedule_with_warmup
    return build(optimizer, num_warmup_steps=round(warmup_share * total), num_training_steps=total, last_epoch=done - 1)
