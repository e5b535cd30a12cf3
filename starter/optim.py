"""Training in bfloat16 with float32 master weights: Muon for matrices, AdamW for the rest, warm-up and cosine."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from starter.settings import WEIGHT_DECAY


class MasterOptimizer:
    """Steps float32 copies of a module's (bfloat16) parameters and writes them back.

    Matrices inside transformer blocks go to Muon (orthogonalised momentum: about twice AdamW's progress a step on this
    small ViT), everything else, embeddings and heads included, to AdamW.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], lr: float, steps: int, warmup: int) -> None:
        pairs = [(name, p) for name, p in named if p.requires_grad]
        self.parameters = [p for _, p in pairs]
        self.masters = [p.detach().float().clone().requires_grad_() for p in self.parameters]
        blocks, vectors, rest = [], [], []
        for (name, p), master in zip(pairs, self.masters, strict=True):
            if p.ndim == 2 and "layer" in name and "embed" not in name:
                blocks.append(master)
            else:
                (vectors if p.ndim < 2 else rest).append(master)
        self.optimizers: list[Optimizer] = [
            AdamW(
                [{"params": rest}, {"params": vectors, "weight_decay": 0.0}], lr, (0.9, 0.98), weight_decay=WEIGHT_DECAY
            )
        ]
        if blocks:
            self.optimizers.append(Muon(blocks, lr, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"))
        self.lr, self.steps, self.warmup, self.done = lr, steps, warmup, 0

    def rate(self) -> float:
        """This step's share of the peak learning rate."""
        if self.done < self.warmup:
            return (self.done + 1) / self.warmup
        progress = min(1.0, (self.done - self.warmup) / max(1, self.steps - self.warmup))
        return 0.5 * (1 + math.cos(math.pi * progress)) * 0.99 + 0.01

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients that lie on the parameters; clears them."""
        for p, master in zip(self.parameters, self.masters, strict=True):
            master.grad = None if p.grad is None else p.grad.float()
            p.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * self.rate()
            optimizer.step()
        for p, master in zip(self.parameters, self.masters, strict=True):
            p.copy_(master)
        self.done += 1


def as_float(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state in float32, detached from the module."""
    return {name: tensor.detach().float().clone() for name, tensor in state.items()}
