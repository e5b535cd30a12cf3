"""Which part of the model runs once per image instead of once per epoch, and running it."""

from __future__ import annotations

from nameplate.models.features import FrozenPrefix, has_prefix
from nameplate.progress import Progress, bar
from nameplate.stages.train.setup import Training


def frozen_prefix(training: Training, progress: Progress) -> FrozenPrefix | None:
    """Projector inputs of all images, when the tower cannot change and there are epochs enough to gain by it."""
    frozen = training.section.vision.mode == "frozen"
    if not frozen or training.section.epochs == 1 or not has_prefix(training.loaded.model):
        return None
    keys = list(dict.fromkeys(training.rows.images))
    prefix = FrozenPrefix(training.loaded.model, training.images)
    if not prefix.fits(len(keys), keys[0]):
        progress.note("train: the frozen vision tower's outputs do not fit in memory; they are computed every epoch")
        return None
    with bar(progress, "look at images", len(keys)) as advance:
        prefix.fill(keys, batch_size=32, advance=advance)
    return prefix
