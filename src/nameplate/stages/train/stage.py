"""The training stage, from the split table to checkpoints. Read `run_training` first."""

from __future__ import annotations

import time
from functools import partial

from nameplate.models.audit import GradientAudit, audit_gradients
from nameplate.models.checkpoint import remove_folder
from nameplate.models.parts import component_rows, row_sentence
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.progress import Progress, bar
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.examples import ExampleDataset
from nameplate.stages.train.keeper import Keeper
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.objective import batch_loss
from nameplate.stages.train.prefix import frozen_prefix
from nameplate.stages.train.results import write_training
from nameplate.stages.train.resume import Position, load_resume, read_position
from nameplate.stages.train.schedule import cosine
from nameplate.stages.train.setup import Training, build_training
from nameplate.stages.train.trainer import Bookkeeper, PolicyTrainer, training_arguments
from nameplate.store.rundir import RunDirectory
from nameplate.summary import TrainSummary


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
    training = build_training(section, model_section, run, prompts)
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


def _clear(training: Training) -> None:
    """Remove what an earlier training with other inputs has left."""
    training.resume_path.unlink(missing_ok=True)
    for folder in training.run.checkpoints.glob("*epoch-*"):
        remove_folder(folder)


def _train(training: Training, start: Position, progress: Progress) -> Position:
    section, plan = training.section, training.plan
    collator = Collator(training.images, frozen_prefix(training, progress))
    for row in component_rows(training.applied):
        progress.note(f"train: {row_sentence(row)}")
    if start.epoch == 0:
        progress.note(f"train: {_audit(training).sentence()}")
    log = LossLog(training.rows.row_ids, steps_per_epoch=plan.steps_per_epoch, logged=start.losses)
    keeper = Keeper(training, start, log, time.monotonic())
    remaining = section.epochs - start.epoch
    schedule = cosine(
        training.optimizer,
        warmup_share=section.optimizer.warmup_share,
        total=section.epochs * plan.steps_per_epoch,
        done=start.steps,
    )
    with bar(progress, "train", plan.steps_per_epoch * remaining) as advance:
        trainer = PolicyTrainer(
            plan=plan,
            collator=collator,
            log=log,
            start_epoch=start.epoch,
            model=training.loaded.model,
            optimizers=(training.optimizer, schedule),
            args=training_arguments(
                section, training.run.folder("train"), accumulation=plan.accumulation, epochs=remaining
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


def _restore(training: Training, start: Position) -> None:
    if start.epoch > 0:
        load_resume(training.resume_path, training.applied.trainable(), training.optimizer)


def _audit(training: Training) -> GradientAudit:
    dataset = ExampleDataset(training.rows)
    first = [dataset[index] for index in training.plan.examples(0)[: min(4, training.section.memory.micro_batch_size)]]
    model = training.loaded.model
    batch = {name: tensor.to(model.device) for name, tensor in Collator(training.images, None)(first).items()}
    model.train()
    return audit_gradients(model, training.applied, training.optimizer, partial(batch_loss, model, batch))


def _mean_tokens(plan: EpochPlan, epochs: int) -> int:
    return round(sum(plan.supervised_tokens(epoch) for epoch in range(epochs)) / epochs)
