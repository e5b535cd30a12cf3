"""The losses of a run: summed where they are computed, read back seldom, and watched for what no model survives."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from nameplate.errors import TrainingError
from nameplate.stages.train.divergence import Divergence
from nameplate.stages.train.ranks.group import Ranks


class _Pending(NamedTuple):
    loss: torch.Tensor
    tokens: torch.Tensor
    rows: torch.Tensor


class _Step(NamedTuple):
    parts: list[_Pending]
    norm: torch.Tensor | float | None


class LossLog:
    """Losses per answer token by optimizer step, every token counting once whatever the recipe weighs it with.

    So they compare between recipes, and with the losses of scoring. Reading a loss back from an accelerator waits for
    it, so that happens only once in `flush_steps` steps.

    Args:
        row_ids: to say which rows a bad loss came from.
        steps_per_epoch: to say when.
        logged: pairs (epoch, loss) of steps before a resume.
        flush_steps: read back after so many steps.
        ranks: with whom the losses are shared; all of them read back at the same steps, and stop at the same.
    """

    def __init__(
        self,
        row_ids: tuple[str, ...],
        *,
        steps_per_epoch: int,
        logged: list[tuple[float, float]],
        flush_steps: int = 8,
        ranks: Ranks | None = None,
    ) -> None:
        self.logged = list(logged)
        self._row_ids = row_ids
        self._steps_per_epoch = steps_per_epoch
        self._flush_steps = flush_steps
        self._ranks = ranks or Ranks()
        self._parts: list[_Pending] = []
        self._norm: torch.Tensor | float | None = None
        self._finished: list[_Step] = []
        self._sum = 0.0
        self._tokens = 0
        self._divergence = Divergence()
        for _, loss in logged:
            self._divergence.add(loss)

    def add(self, loss: torch.Tensor, tokens: torch.Tensor, rows: torch.Tensor) -> None:
        """Note one micro-batch: summed loss, number of answer tokens, places of its rows."""
        self._parts.append(_Pending(loss.detach(), tokens, rows))

    def add_norm(self, norm: torch.Tensor | float | None) -> None:
        """Note the norm of the step's gradient, before it was clipped."""
        self._norm = norm

    def end_step(self) -> None:
        """Close an optimizer step.

        Raises:
            TrainingError: see `flush`.
        """
        self._finished.append(_Step(self._parts, self._norm))
        self._parts, self._norm = [], None
        if len(self._finished) >= self._flush_steps:
            self.flush()

    def flush(self) -> None:
        """Read back what is pending.

        Raises:
            TrainingError: a loss or a gradient is not finite, or the loss has gone up and stays there; says epoch, step
                and rows.
        """
        finished, self._finished = self._finished, []
        if not finished:
            return
        for step, (loss, tokens) in zip(finished, self._totals(finished), strict=True):
            if not math.isfinite(loss):
                bad = [part for part in step.parts if not math.isfinite(float(part.loss))]
                raise self._error(f"the loss is {loss}", bad)
            if step.norm is not None and not math.isfinite(float(step.norm)):
                raise self._error(f"the norm of the gradient is {float(step.norm)}", step.parts)
            self._sum += loss
            self._tokens += int(tokens)
            mean = loss / max(tokens, 1)
            astray = self._divergence.add(mean)
            if astray is not None:
                raise self._error(f"{astray}, last", step.parts)
            self.logged.append(((len(self.logged) + 1) / self._steps_per_epoch, mean))

    def mean_since_last(self) -> float:
        """Mean loss per answer token since this was last asked."""
        self.flush()
        mean = self._sum / max(self._tokens, 1)
        self._sum, self._tokens = 0.0, 0
        return mean

    def _totals(self, steps: list[_Step]) -> list[list[float]]:
        """Summed loss and number of answer tokens of each step, over all processes."""
        own = [
            [sum(float(part.loss) for part in step.parts), float(sum(int(part.tokens) for part in step.parts))]
            for step in steps
        ]
        totals: list[list[float]] = self._ranks.total(torch.tensor(own, dtype=torch.float64)).tolist()
        return totals

    def _error(self, found: str, parts: list[_Pending]) -> TrainingError:
        epoch, step = divmod(len(self.logged), self._steps_per_epoch)
        places = self._ranks.everyone([place for part in parts for place in part.rows.tolist()])
        rows = [self._row_ids[place] for own in places for place in own]
        return TrainingError(
            f"train epoch {epoch + 1} step {step + 1}",
            found=f"{found} on rows {', '.join(rows[:8])}",
            fix="lower the learning rates, or look at these rows; the last checkpoint is whole",
        )
