"""Checkpoints, and where training stands after each."""

from __future__ import annotations

import time
from typing import Any

from nameplate.models.checkpoint import save_checkpoint
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.resume import Position, save_resume
from nameplate.stages.train.setup import Training


class Keeper:
    """Writes a checkpoint, then the resume state, so that after any kill the state is never ahead of the checkpoint."""

    def __init__(self, training: Training, start: Position, log: LossLog, started: float) -> None:
        self.training = training
        self.start = start
        self.log = log
        self.started = started
        self.last = start

    def end_epoch(self, epoch: int) -> None:
        """Write a checkpoint if this epoch has one."""
        training = self.training
        section = training.section
        if epoch % section.checkpoint_every_epochs and epoch != section.epochs:
            return
        name = f"epoch-{epoch:02d}"
        notes: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": self.log.mean_since_last(),
            "base": training.base,
            "policy": {part: policy.model_dump(mode="json") for part, policy in section.policies().items()},
        }
        folder = training.run.checkpoints / name
        save_checkpoint(training.loaded, training.applied, folder, base=training.base, notes=notes)
        self.last = Position(
            fingerprint=training.fingerprint,
            epoch=epoch,
            steps=epoch * training.plan.steps_per_epoch,
            losses=self.log.logged,
            seconds=self.start.seconds + time.monotonic() - self.started,
        )
        save_resume(training.resume_path, self.last, training.applied.trainable(), training.optimizer)
