"""The one trainer: transformers' loop with our batches, our loss and our books."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from nameplate.models.batches import Batch
from nameplate.models.processing import IGNORED
from nameplate.recipe import TrainSection
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.examples import Example, ExampleDataset
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.objective import batch_loss


class PolicyTrainer(Trainer):
    """Sums the loss over answer tokens and divides by those of the whole optimizer step.

    A step of accumulated micro-batches thus equals the same step in one batch, whatever the lengths of its answers.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self, *, plan: EpochPlan, collator: Collator, log: LossLog, start_epoch: int, **arguments: Any
    ) -> None:
        super().__init__(data_collator=collator, train_dataset=ExampleDataset(plan.rows), **arguments)
        self.plan = plan
        self.log_of_losses = log
        self.model_accepts_loss_kwargs = True
        self.remove_callback(PrinterCallback)
        self.add_callback(_EpochOrder(plan, start_epoch))

    def get_train_dataloader(self) -> DataLoader[Example]:
        """Batches as the plan says."""
        loader: DataLoader[Example] = DataLoader(
            ExampleDataset(self.plan.rows), batch_sampler=self.plan, collate_fn=self.data_collator
        )
        prepared: DataLoader[Example] = self.accelerator.prepare(loader)
        return prepared

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Loss of one micro-batch as its part of the optimizer step's mean per answer token."""
        assert num_items_in_batch is not None, "the trainer did not count the answer tokens of the step"
        assert isinstance(model, PreTrainedModel), "training on several devices needs its own way to the projector"
        total = batch_loss(model, inputs)
        self.log_of_losses.add(total, (inputs["targets"] != IGNORED).sum(), inputs["rows"])
        return total / num_items_in_batch

    def floating_point_ops(self, inputs: Batch) -> int:
        """Not counted: it would walk all parameters for every micro-batch."""
        return 0


class _EpochOrder(TrainerCallback):
    def __init__(self, plan: EpochPlan, start_epoch: int) -> None:
        self.plan = plan
        self.start_epoch = start_epoch

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.plan.epoch = self.start_epoch + round(state.epoch or 0)


class Bookkeeper(TrainerCallback):
    """Closes steps in the log, moves the bar, and calls for a checkpoint at the end of the epochs that have one.

    Args:
        log: of losses.
        start_epoch: epochs finished before.
        restore: puts back what an interrupted training had. Called last before the first step: the loop seeds anew and
            wraps the optimizer before that.
        advance: moves the bar.
        checkpoint: called with the number of finished epochs.
    """

    def __init__(
        self,
        log: LossLog,
        *,
        start_epoch: int,
        restore: Callable[[], None],
        advance: Callable[[int], None],
        checkpoint: Callable[[int], None],
    ) -> None:
        self.log = log
        self.start_epoch = start_epoch
        self.restore = restore
        self.advance = advance
        self.checkpoint = checkpoint

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore."""
        self.restore()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Close the step."""
        self.log.end_step()
        self.advance(1)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the losses first: a model that is no number must not become a checkpoint."""
        self.log.flush()
        self.checkpoint(self.start_epoch + round(state.epoch or 0))


def training_arguments(section: TrainSection, folder: Path, *, accumulation: int, epochs: int) -> Any:
    """Arguments of transformers' loop: no trackers, no bars, no checkpoints of its own.

    Args:
        section: of the recipe.
        folder: where the loop may write.
        accumulation: forward passes per step.
        epochs: that are left.
    """
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=section.memory.micro_batch_size,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        max_grad_norm=section.optimizer.max_grad_norm or 0.0,
        seed=section.seed,
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )
