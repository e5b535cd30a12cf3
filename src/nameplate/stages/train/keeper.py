"""Checkpoints, and where training stands after each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nameplate.errors import TrainingError
from nameplate.models.checkpoint import remove_folder, save_checkpoint
from nameplate.models.tokencounts import IMAGE_TOKENS, image_tokens
from nameplate.progress import Progress
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.ranks.plain import Laid, PlainModel
from nameplate.stages.train.resume import Accuracy, Position, save_resume
from nameplate.stages.train.setup import Training, lay_twin
from nameplate.stages.train.validation import Validation


class Keeper:
    """Writes a checkpoint, then the resume state, so that after any kill the state is never ahead of the checkpoint.

    Of several processes the first writes, and the others wait for it.

    Args:
        training: what is kept.
        start: where it began.
        log: of losses.
        validation: finds the best; none: all checkpoints stay.
        progress: shows how far that is.
    """

    def __init__(
        self, training: Training, start: Position, log: LossLog, *, validation: Validation | None, progress: Progress
    ) -> None:
        self.training = training
        self.start = start
        self.log = log
        self.validation = validation
        self.progress = progress
        self.plain = PlainModel(
            Laid(training.loaded, training.applied), training.ranks, build=partial(lay_twin, training)
        )
        self.started = time.monotonic()
        self.last = start

    def end_epoch(self, epoch: int) -> None:
        """Write a checkpoint if this epoch has one; older ones go only when it and the resume state are whole.

        Raises:
            TrainingError: a weight is not finite.
            RunDirectoryError: the disk is full.
        """
        training = self.training
        if not training.section.ends_with_checkpoint(epoch):
            return
        folder = training.run.checkpoints / f"epoch-{epoch:02d}"
        self._write(folder, epoch)
        accuracies = dict(self.last.accuracies)
        if self.validation is not None and training.ranks.leads:
            accuracies[folder.name] = self.validation.accuracy(folder, self.progress)
        self.last = Position(
            fingerprint=training.fingerprint,
            epoch=epoch,
            steps=epoch * training.plan.steps_per_epoch,
            losses=self.log.logged,
            seconds=self.start.seconds + time.monotonic() - self.started,
            accuracies=accuracies,
        )
        divided = training.ranks.division is not None
        if divided:
            # The first may have asked the model for longer than DeepSpeed's own groups wait.
            training.ranks.wait()
        if training.ranks.leads or divided:
            save_resume(
                training.resume_path,
                self.last,
                training.applied.trainable(),
                training.optimizer,
                average=training.average,
                writes=training.ranks.leads,
            )
        if training.ranks.leads:
            prune(training.run.checkpoints, accuracies)
        training.ranks.wait()

    def _write(self, folder: Path, epoch: int) -> None:
        training = self.training
        notes: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": self.log.mean_since_last(),
            "base": training.model_section.base,
            IMAGE_TOKENS: image_tokens(training.loaded.processor),
            "policy": {part: policy.model_dump(mode="json") for part, policy in training.section.policies().items()},
        }
        with training.average.in_place() if training.average is not None else nullcontext():
            plain = self.plain.gather()
            if plain is not None:
                _check_finite(plain.applied.trainable(), epoch)
                save_checkpoint(plain.loaded, plain.applied, folder, base=training.model_section.base, notes=notes)


def prune(checkpoints: Path, accuracies: Mapping[str, Accuracy]) -> None:
    """Leave the best and the last of the checkpoints that were measured; none were: leave all.

    A folder loses its name before its files, so that a kill leaves no half of a checkpoint under a name.
    """
    keep = {best(accuracies), list(accuracies)[-1]} if accuracies else set()
    for name in accuracies:
        if name not in keep and (checkpoints / name).exists():
            (checkpoints / name).rename(checkpoints / f".{name}.gone")
    for folder in checkpoints.glob(".epoch-*.gone"):
        remove_folder(folder)


def best(accuracies: Mapping[str, Accuracy]) -> str:
    """The checkpoint with the best accuracy; of equals, the earliest."""
    return max(accuracies, key=lambda name: accuracies[name].right)


def _check_finite(weights: Mapping[str, torch.Tensor], epoch: int) -> None:
    finite = torch.stack([torch.isfinite(weight).all() for weight in weights.values()])
    if not bool(finite.all()):
        name = list(weights)[int(finite.int().argmin())]
        raise TrainingError(
            f"train epoch {epoch}",
            found=f"after its last step {name} is not finite, so no checkpoint was written",
            fix="lower the learning rates; the last checkpoint is whole",
        )
