"""The training stage, from the split table to checkpoints. Read `run_training` first."""

from __future__ import annotations

from functools import partial

from nameplate.models.audit import GradientAudit, audit_gradients
from nameplate.models.augment import AugmentedImages
from nameplate.models.checkpoint import remove_folder
from nameplate.models.constanttext import ConstantText
from nameplate.models.parts import component_rows, row_sentence
from nameplate.models.prefix.frozen import FrozenPrefix
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.models.step.allocator import give_freed_memory_back
from nameplate.progress import Progress, SilentProgress, bar
from nameplate.recipe import ModelSection, ScoreSection, TrainSection
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.compiling import compile_where_it_pays
from nameplate.stages.train.constanttext import constant_text
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.keeper import Keeper, prune
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.microbatches import packs
from nameplate.stages.train.objective import batch_loss
from nameplate.stages.train.prefix import frozen_prefix, kept_bytes, make_room_on_device, shared_sight
from nameplate.stages.train.ranks.deal import DealtPlan
from nameplate.stages.train.ranks.group import joined
from nameplate.stages.train.results import write_training
from nameplate.stages.train.resume import Accuracy, Position, load_resume, read_position
from nameplate.stages.train.schedule import cosine
from nameplate.stages.train.setup import Training, build_training, divided
from nameplate.stages.train.trainer import Bookkeeper, PolicyTrainer, training_arguments
from nameplate.stages.train.validation import Validation
from nameplate.statistics import wilson
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Proportion, TrainSummary


def run_training(
    section: TrainSection,
    *,
    model_section: ModelSection,
    run: RunDirectory,
    progress: Progress,
    prompts: Prompts = PROMPTS,
    asking: ScoreSection | None = None,
) -> TrainSummary:
    """Train on the split's training rows and write checkpoints, resume state and `train.json`.

    Called again after any interruption it goes on from the last checkpoint, with the losses it would have had. In a
    launch of several processes each must call it; the first writes.

    Args:
        section: what learns, and how.
        model_section: the base.
        run: with its split; checkpoints go there.
        progress: shows how far it is.
        prompts: texts of the questions.
        asking: how scoring will ask, where the best checkpoint is to be found; none: as scoring does by itself.

    Raises:
        InputError: nothing to train on, no validation rows to find the best by, or an image is missing.
        ModelError: the base cannot be loaded, or the policies do not do what they say.
        TrainingError: the loss is not a number or goes astray, or an example is too long.
        RunDirectoryError: the disk is full.
    """
    with joined() as ranks:
        training = build_training(section, model_section, run, prompts, ranks=ranks)
        ranks.agree(training.fingerprint, on="recipe, examples and model")
        wants_best = section.keep == "best_and_last"
        kept = shared_sight(training)
        validation = (
            Validation(run, training.images, prompts, asking or ScoreSection(), kept=kept) if wants_best else None
        )
        try:
            return _run(training, validation, progress if ranks.leads else SilentProgress())
        finally:
            give_freed_memory_back()


def _run(training: Training, validation: Validation | None, progress: Progress) -> TrainSummary:
    section, run, ranks = training.section, training.run, training.ranks
    components = component_rows(training.applied)  # stage 3 of DeepSpeed empties what it divides
    position = ranks.everyone(read_position(training.resume_path, training.fingerprint))[0]
    if position is None:
        if ranks.leads:
            _clear(training)
        position = Position(fingerprint=training.fingerprint, epoch=0, steps=0, losses=[], seconds=0.0)
    else:
        progress.note(f"train: goes on after epoch {position.epoch}")
    if position.epoch < section.epochs:
        position = _train(training, position, validation, progress)
    if ranks.leads:
        prune(run.checkpoints, position.accuracies)
    summary = TrainSummary(
        components=components,
        steps=position.steps,
        epochs=position.epoch,
        examples=training.plan.num_examples,
        losses=position.losses,
        seconds=position.seconds,
        supervised_tokens=_mean_tokens(training.plan, section.epochs),
        kept_bytes=kept_bytes(training),
        validation={name: _proportion(accuracy) for name, accuracy in position.accuracies.items()},
    )
    if ranks.leads:
        write_training(run, summary)
    return summary


def _clear(training: Training) -> None:
    """Remove what an earlier training with other inputs has left."""
    training.resume_path.unlink(missing_ok=True)
    for pattern in ("*epoch-*", "*average-*"):
        for folder in training.run.checkpoints.glob(pattern):
            remove_folder(folder)


def _proportion(accuracy: Accuracy) -> Proportion:
    share = wilson(accuracy.right, accuracy.n)
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def _train(training: Training, start: Position, validation: Validation | None, progress: Progress) -> Position:
    section, plan = training.section, training.plan
    prefix = frozen_prefix(training, progress, start_epoch=start.epoch)
    collator = _collator(training, prefix, constant_text(training, progress))
    if collator.packs:
        progress.note("train: short examples share rows")
    training = divided(training)
    if training.ranks.size > 1:
        progress.note(f"train: {training.ranks.sentence()}")
    for row in component_rows(training.applied):
        progress.note(f"train: {row_sentence(row)}")
    if start.epoch == 0:
        progress.note(f"train: {_audit(training).sentence()}")
    make_room_on_device(training, prefix)
    compile_where_it_pays(training, collator, progress, start_epoch=start.epoch)
    log = LossLog(
        training.rows.row_ids, steps_per_epoch=plan.steps_per_epoch, logged=start.losses, ranks=training.ranks
    )
    keeper = Keeper(training, start, log, validation=validation, progress=progress)
    remaining = section.epochs - start.epoch
    schedule = cosine(
        training.optimizer,
        warmup_share=section.optimizer.warmup_share,
        total=section.epochs * plan.steps_per_epoch,
        done=start.steps,
    )
    with bar(progress, "train", plan.steps_per_epoch * remaining) as advance:
        trainer = PolicyTrainer(
            section=section,
            plan=plan,
            ranks=training.ranks,
            collator=collator,
            log=log,
            start_epoch=start.epoch,
            model=training.loaded.model,
            optimizers=(training.optimizer, schedule),
            args=training_arguments(
                section,
                training.run.folder("train"),
                accumulation=DealtPlan(plan, training.ranks).accumulation,
                epochs=remaining,
            ),
            callbacks=[
                Bookkeeper(
                    log,
                    start_epoch=start.epoch,
                    restore=partial(_restore, training, start),
                    advance=advance,
                    stepped=partial(_average, training, start),
                    checkpoint=keeper.end_epoch,
                )
            ],
        )
        trainer.train()
    return keeper.last


def _collator(training: Training, prefix: FrozenPrefix | None, text: ConstantText) -> Collator:
    section, plan = training.section, training.plan
    augments = section.examples.augment != "off"
    packing = packs(
        section.memory.packing,
        training.loaded.model,
        ([plan.dataset.length(index) - len(text.ids) for index in micro_batch] for micro_batch in plan),
        keeps_hidden=prefix is not None and prefix.level == "hidden",
    )
    return Collator(
        training.images,
        prefix,
        text=text,
        augmented=AugmentedImages(training.images, seed=section.seed) if augments else None,
        stand_in=plan.dataset[0],
        packs=packing,
    )


def _restore(training: Training, start: Position) -> None:
    if start.epoch > 0:
        trainable = training.applied.trainable()
        load_resume(training.resume_path, trainable, training.optimizer, average=training.average)


def _average(training: Training, start: Position, steps: int) -> None:
    if training.average is not None:
        training.average.update(start.steps + steps)


def _audit(training: Training) -> GradientAudit:
    dataset = training.plan.dataset
    first = [dataset[index] for index in training.plan.examples(0)[: min(4, training.section.memory.micro_batch_size)]]
    model = training.loaded.model
    batch = {name: tensor.to(model.device) for name, tensor in Collator(training.images, None)(first).items()}
    model.train()
    return audit_gradients(model, training.applied, training.optimizer, partial(batch_loss, model, batch))


def _mean_tokens(plan: EpochPlan, epochs: int) -> int:
    return round(sum(plan.supervised_tokens(epoch) for epoch in range(epochs)) / epochs)
