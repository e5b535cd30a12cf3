"""The losses of a run: summed where they are computed, read back seldom, and watched for numbers that are none."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from nameplate.errors import TrainingError


class _Pending(NamedTuple):
    loss: torch.Tensor
    tokens: torch.Tensor
    rows: torch.Tensor


class LossLog:
    """Token-weighted losses by optimizer step.

    Reading a loss back from an accelerator waits for it, so that happens only once in `flush_steps` steps.

    Args:
        row_ids: to say which rows a bad loss came from.
        steps_per_epoch: to say when.
        logged: pairs (epoch, loss) of steps before a resume.
        flush_steps: read back after so many steps.
    """

    def __init__(
        self,
        row_ids: tuple[str, ...],
        *,
        steps_per_epoch: int,
        logged: list[tuple[float, float]],
        flush_steps: int = 8,
    ) -> None:
        self.logged = list(logged)
        self._row_ids = row_ids
        self._steps_per_epoch = steps_per_epoch
        self._flush_steps = flush_steps
        self._step: list[_Pending] = []
        self._finished: list[list[_Pending]] = []
        self._sum = 0.0
        self._tokens = 0

    def add(self, loss: torch.Tensor, tokens: torch.Tensor, rows: torch.Tensor) -> None:
        """Note one micro-batch: summed loss, number of answer tokens, places of its rows."""
        self._step.append(_Pending(loss.detach(), tokens, rows))

    def end_step(self) -> None:
        """Close an optimizer step.

        Raises:
            TrainingError: a loss since the last look is not finite.
        """
        self._finished.append(self._step)
        self._step = []
        if len(self._finished) >= self._flush_steps:
            self.flush()

    def flush(self) -> None:
        """Read back what is pending.

        Raises:
            TrainingError: a loss is not finite; says epoch, step and rows.
        """
        finished, self._finished = self._finished, []
        for step in finished:
            losses = [float(pending.loss) for pending in step]
            for loss, pending in zip(losses, step, strict=True):
                self._check(loss, pending)
            tokens = sum(int(pending.tokens) for pending in step)
            self._sum += sum(losses)
            self._tokens += tokens
            self.logged.append(((len(self.logged) + 1) / self._steps_per_epoch, sum(losses) / max(tokens, 1)))

    def mean_since_last(self) -> float:
        """Mean loss per answer token since this was last asked."""
        self.flush()
        mean = self._sum / max(self._tokens, 1)
        self._sum, self._tokens = 0.0, 0
        return mean

    def _check(self, loss: float, pending: _Pending) -> None:
        if math.isfinite(loss):
            return
        epoch, step = divmod(len(self.logged), self._steps_per_epoch)
        rows = ", ".join(self._row_ids[place] for place in pending.rows.tolist()[:8])
        raise TrainingError(
            f"train epoch {epoch + 1} step {step + 1}",
            found=f"the loss is {loss} on rows {rows}",
            fix="lower the learning rates, or look at these rows",
        )
