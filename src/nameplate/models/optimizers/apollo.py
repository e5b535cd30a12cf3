"""APOLLO: AdamW's step sizes, estimated from a random projection of each gradient (arXiv 2412.05270).

Our own, because the authors' package is licensed for non-commercial use alone, needs bitsandbytes, and keeps its
projections as objects in the state, which no weights file can hold. Here a projection follows from seed, matrix and
step, so that a resume needs the moments alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import nn

GROWTH: Final = 1.01
"""The norm of a matrix's update may grow this much per step (Fira's limiter, arXiv 2410.01623, as in APOLLO)."""


class Apollo(torch.optim.Optimizer):
    """Scales each gradient matrix as AdamW would, per channel or as a whole; only low-rank moments are kept.

    A projection to `rank` of the shorter side makes the scales smaller by sqrt(rank / side) (the paper's theorem 4.2);
    they are made larger by that again, so that the learning rates of AdamW fit whatever the rank.

    Args:
        groups: of matrices, (N, M) each, with `lr` and `weight_decay`.
        betas: decay of the moments.
        eps: added to the second moment's root.
        rank: of the moments; where a matrix's shorter side is smaller, that.
        update_interval: steps between projections.
        per: channel: a scale for each row or column (APOLLO); tensor: one for the matrix (APOLLO-Mini).
        seed: of the projections.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        betas: tuple[float, float],
        eps: float,
        rank: int,
        update_interval: int = 200,
        per: Literal["channel", "tensor"] = "channel",
        seed: int = 0,
    ) -> None:
        options = {"betas": betas, "eps": eps, "rank": rank, "update_interval": update_interval, "per": per}
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0, **options})
        first = 0
        for group in self.param_groups:
            group["seed"], group["first"] = seed, first
            first += len(group["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch's overloads
        """Change every matrix that has a gradient."""
        assert closure is None, "nobody computes the loss again"
        for group in self.param_groups:
            for place, matrix in enumerate(group["params"], start=group["first"]):
                if matrix.grad is not None:
                    self._change(matrix, matrix.grad.float(), group, place)

    def _change(self, matrix: nn.Parameter, gradient: torch.Tensor, group: dict[str, Any], place: int) -> None:
        state: dict[str, Any] = self.state[matrix]
        done = state.get("step", 0)
        tall = gradient if gradient.shape[0] >= gradient.shape[1] else gradient.T
        side = tall.shape[1]
        rank = min(group["rank"], side)
        seed = np.random.SeedSequence([group["seed"], place, done // group["update_interval"]]).generate_state(1, "u8")
        low = tall @ projection(side, rank, seed=int(seed[0]), device=tall.device).T
        scaled = tall * (_scales(low, state, group) * math.sqrt(side / rank))
        scaled *= _limit(scaled.norm(), state)
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        step = scaled if tall is gradient else scaled.T
        matrix.add_(step.to(matrix.dtype), alpha=-group["lr"])


def projection(side: int, rank: int, *, seed: int, device: torch.device) -> torch.Tensor:
    """(rank, side) of normal numbers with variance 1 / rank."""
    generator = torch.Generator(device).manual_seed(seed)
    return torch.randn((rank, side), generator=generator, device=device) / math.sqrt(rank)


def _scales(low: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> torch.Tensor:
    """How much larger AdamW's step is than the gradient, (N, 1) or (1, 1); moves the moments on."""
    if not state:
        state |= {"step": 0, "exp_avg": torch.zeros_like(low), "exp_avg_sq": torch.zeros_like(low)}
    first, second = group["betas"]
    state["step"] += 1
    mean = state["exp_avg"].lerp_(low, 1 - first) / (1 - first ** state["step"])
    square = state["exp_avg_sq"].mul_(second).addcmul_(low, low, value=1 - second) / (1 - second ** state["step"])
    adam = mean / (square.sqrt() + group["eps"])
    over = (0, 1) if group["per"] == "tensor" else 1
    tiny = torch.finfo(low.dtype).tiny
    scales: torch.Tensor = adam.norm(dim=over, keepdim=True) / low.norm(dim=over, keepdim=True).clamp(min=tiny)
    return scales


def _limit(norm: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    """What to multiply an update of this norm with, so that its norm grows slowly; remembers what comes of it."""
    before = state.get("norm", torch.zeros_like(norm))
    # A matrix that had no gradient may begin anew.
    allowed = torch.where(before > 0, GROWTH * before, torch.inf)
    after = state["norm"] = torch.minimum(norm, allowed)
    return after / norm.clamp(min=torch.finfo(norm.dtype).tiny)
