"""The training stage, from the split table to checkpoints. Read `run_training` first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup, set_seed

from nameplate.models.audit import GradientAudit, audit_gradients
from nameplate.models.checkpoint import remove_folder, save_checkpoint
from nameplate.models.features import FrozenPrefix, has_prefix, num_patches
from nameplate.models.groups import parameter_groups
from nameplate.models.images import ImageCache
from nameplate.models.load import LoadedModel, load_model, stored_dtype
from nameplate.models.parts import component_rows, row_sentence
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.precision import best_device, frozen_dtype, set_training_attention
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.models.recompute import recompute_layers
from nameplate.progress import Progress, bar
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import VERSION
from nameplate.stages.train.examples import EpochPlan, ExampleDataset, TrainingRows, read_training_rows
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.results import write_training
from nameplate.stages.train.resume import Position, load_resume, read_position, save_resume
from nameplate.stages.train.trainer import Bookkeeper, Collator, PolicyTrainer, batch_loss, training_arguments
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory
from nameplate.summary import TrainSummary


@dataclass(frozen=True)
class _Training:
    """Everything that one training needs, built once."""

    section: TrainSection
    base: str
    run: RunDirectory
    loaded: LoadedModel
    applied: AppliedPolicies
    images: ImageCache
    rows: TrainingRows
    plan: EpochPlan
    optimizer: torch.optim.Optimizer
    fingerprint: str

    @property
    def resume_path(self) -> Path:
        return self.run.folder("train") / "resume" / "state.safetensors"


def run_training(
    section: TrainSection,
    *,
    model_section: ModelSection,
    run: RunDirectory,
    progress: Progress,
    prompts: Prompts = PROMPTS,
) -> TrainSummary:
    """Train on the split's training rows and write checkpoints, resume state and `train.json`.

    Called again after any interruption it goes on from the last checkpoint, with the losses it would have had.

    Raises:
        InputError: nothing to train on, or an image is missing.
        ModelError: the base cannot be loaded, or the policies do not do what they say.
        TrainingError: the loss is not a number, or an example is too long.
        RunDirectoryError: the disk is full.
    """
    training = _build(section, model_section, run, prompts)
    position = read_position(training.resume_path, training.fingerprint)
    if position is None:
        _clear(training)
        position = Position(fingerprint=training.fingerprint, epoch=0, steps=0, losses=[], seconds=0.0)
    else:
        progress.note(f"train: goes on after epoch {position.epoch}")
    if position.epoch < section.epochs:
        position = _train(training, position, progress)
    summary = TrainSummary(
        components=component_rows(training.applied),
        steps=position.steps,
        epochs=position.epoch,
        examples=len(training.rows),
        losses=position.losses,
        seconds=position.seconds,
        supervised_tokens=_mean_tokens(training.plan, section.epochs),
    )
    write_training(run, summary)
    return summary


def _build(section: TrainSection, model_section: ModelSection, run: RunDirectory, prompts: Prompts) -> _Training:
    loaded = load_model(model_section.base, dtype=torch.float32, max_tiles=model_section.max_tiles)
    module: nn.Module = loaded.model
    module.to(best_device())
    max_tokens = int(loaded.model.config.get_text_config().max_position_embeddings)
    images = ImageCache(run.images, loaded.processor)
    rows = read_training_rows(run, images, prompts, max_tokens=max_tokens)
    patches = num_patches(loaded.model)
    longest = max(len(example.input_ids) for example in (*rows.captions, *rows.questions))
    set_training_attention(loaded.model, longest=max(patches, longest))
    set_seed(section.seed)
    applied = _apply(section, loaded)
    plan = EpochPlan(
        rows,
        batch_size=section.batch_size,
        micro_batch_size=section.micro_batch_size,
        name_question_share=section.name_question_share,
        seed=section.seed,
    )
    optimizer = torch.optim.AdamW(parameter_groups(applied), fused=True)
    identity = fingerprint(VERSION, section, loaded.fingerprint, loaded.processor.fingerprint, rows.fingerprint)
    return _Training(section, model_section.base, run, loaded, applied, images, rows, plan, optimizer, identity)


def _apply(section: TrainSection, loaded: LoadedModel) -> AppliedPolicies:
    dtype = frozen_dtype(stored_dtype(loaded.folder), learning=getattr(torch, section.memory.weights))
    applied = apply_policies(loaded.model, section.policies(), frozen_dtype=dtype, memory=section.memory)
    if section.memory.checkpointing:
        recompute_layers(applied)
    return applied


def _clear(training: _Training) -> None:
    """Remove what an earlier training with other inputs has left."""
    training.resume_path.unlink(missing_ok=True)
    for folder in training.run.checkpoints.glob("*epoch-*"):
        remove_folder(folder)


def _train(training: _Training, start: Position, progress: Progress) -> Position:
    section, plan, images = training.section, training.plan, training.images
    collator = Collator(images, _frozen_prefix(training, images, progress))
    for row in component_rows(training.applied):
        progress.note(f"train: {row_sentence(row)}")
    if start.epoch == 0:
        progress.note(f"train: {_audit(training, images).sentence()}")
    log = LossLog(training.rows.row_ids, steps_per_epoch=plan.steps_per_epoch, logged=start.losses)
    keeper = _Keeper(training, start, log, time.monotonic())
    remaining = section.epochs - start.epoch
    with bar(progress, "train", plan.steps_per_epoch * remaining) as advance:
        trainer = PolicyTrainer(
            plan=plan,
            collator=collator,
            log=log,
            start_epoch=start.epoch,
            model=training.loaded.model,
            optimizers=(training.optimizer, _schedule(training, start.steps)),
            args=training_arguments(
                training.run.folder("train"),
                accumulation=plan.accumulation,
                micro_batch_size=section.micro_batch_size,
                epochs=remaining,
                seed=section.seed,
            ),
            callbacks=[
                Bookkeeper(
                    log,
                    start_epoch=start.epoch,
                    restore=partial(_restore, training, start),
                    advance=advance,
                    checkpoint=keeper.end_epoch,
                )
            ],
        )
        trainer.train()
    return keeper.last


def _restore(training: _Training, start: Position) -> None:
    if start.epoch > 0:
        load_resume(training.resume_path, training.applied.trainable(), training.optimizer)


class _Keeper:
    """Writes a checkpoint, then the resume state, so that after any kill the state is never ahead of the checkpoint."""

    def __init__(self, training: _Training, start: Position, log: LossLog, started: float) -> None:
        self.training = training
        self.start = start
        self.log = log
        self.started = started
        self.last = start

    def end_epoch(self, epoch: int) -> None:
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


def _frozen_prefix(training: _Training, images: ImageCache, progress: Progress) -> FrozenPrefix | None:
    """Projector inputs of all images, when the tower cannot change and there are epochs enough to gain by it."""
    frozen = training.section.vision.mode == "frozen"
    if not frozen or training.section.epochs == 1 or not has_prefix(training.loaded.model):
        return None
    keys = list(dict.fromkeys(training.rows.images))
    prefix = FrozenPrefix(training.loaded.model, images)
    if not prefix.fits(len(keys), keys[0]):
        progress.note("train: the frozen vision tower's outputs do not fit in memory; they are computed every epoch")
        return None
    with bar(progress, "look at images", len(keys)) as advance:
        prefix.fill(keys, batch_size=32, advance=advance)
    return prefix


def _audit(training: _Training, images: ImageCache) -> GradientAudit:
    dataset = ExampleDataset(training.rows)
    first = [dataset[index] for index in training.plan.examples(0)[: min(4, training.section.micro_batch_size)]]
    model = training.loaded.model
    batch = {name: tensor.to(model.device) for name, tensor in Collator(images, None)(first).items()}
    model.train()
    return audit_gradients(model, training.applied, training.optimizer, partial(batch_loss, model, batch))


def _schedule(training: _Training, done_steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Cosine to zero after a linear rise, set to where `done_steps` leave it."""
    total = training.section.epochs * training.plan.steps_per_epoch
    for group in training.optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    build: Callable[..., torch.optim.lr_scheduler.LRScheduler] = get_cosine_schedule_with_warmup
    return build(
        training.optimizer,
        num_warmup_steps=round(training.section.warmup_share * total),
        num_training_steps=total,
        last_epoch=done_steps - 1,
    )


def _mean_tokens(plan: EpochPlan, epochs: int) -> int:
    return round(sum(plan.supervised_tokens(epoch) for epoch in range(epochs)) / epochs)
