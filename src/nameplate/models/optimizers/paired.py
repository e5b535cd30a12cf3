"""Two optimizers as one: a trainer, a schedule and a resume know only one."""

from __future__ import annotations

from collections.abc import Callable

import torch


class Paired(torch.optim.Optimizer):
    """Steps several optimizers. Their groups and states are its own, so that both can be read and put back here."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        groups = [{**group, "part": number} for number, part in enumerate(parts) for group in part.param_groups]
        super().__init__(groups, {})
        self.parts = parts

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch's overloads
        """Step each with its groups."""
        assert closure is None, "nobody computes the loss again"
        for number, part in enumerate(self.parts):
            # Linked anew each time: loading a state replaces both.
            part.param_groups = [group for group in self.param_groups if group["part"] == number]
            part.state = self.state
            part.step()
