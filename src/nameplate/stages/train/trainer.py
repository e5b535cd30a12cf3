"""The one trainer: transformers' loop with our batches, our loss and our books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from nameplate.models.batches import Batch
from nameplate.models.precision import best_device
from nameplate.models.processing import IGNORED
from nameplate.recipe import TrainSection
from nameplate.stages.train.ahead import LoaderAhead
from nameplate.stages.train.collator import Collator
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.examples import Example
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.ranks.deal import DealtPlan
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.ranks.whole import undivided
from nameplate.stages.train.ranks.zero import EngineSteps
from nameplate.stages.train.ranks.zerosettings import Zero


class PolicyTrainer(Trainer):
    """Sums weight times loss over answer tokens and divides by the weights of the whole optimizer step.

    A step of accumulated micro-batches thus equals the same step in one batch, whatever the lengths of its answers and
    however many processes share it.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        section: TrainSection,
        plan: EpochPlan,
        ranks: Ranks,
        collator: Collator,
        log: LossLog,
        start_epoch: int,
        **arguments: Any,
    ) -> None:
        super().__init__(data_collator=collator, train_dataset=plan.dataset, **arguments)
        if isinstance(ranks.division, Zero):
            EngineSteps(self.accelerator, arguments["optimizers"][0], zero=ranks.division, section=section)
        elif ranks.division is not None:
            # It is divided already; accelerate would wrap it once more.
            self.accelerator.prepare_model = lambda model, **_: model
        self.plan = plan
        self.ranks = ranks
        self.log_of_losses = log
        self.model_accepts_loss_kwargs = True
        self.remove_callback(PrinterCallback)
        self.add_callback(_EpochOrder(plan, start_epoch))
        self.add_callback(_Dice(plan, start_epoch, ranks.rank))

    def get_train_dataloader(self) -> DataLoader[Example]:
        """This process's batches, as the plan says; accelerate, which would deal them anew, does not see it."""
        loader = DataLoader if best_device().type == "cpu" else LoaderAhead
        return loader(self.plan.dataset, batch_sampler=DealtPlan(self.plan, self.ranks), collate_fn=self.data_collator)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | None]:
        """The micro-batches of an optimizer step, and the weights of all their answer tokens."""
        batches = list(islice(epoch_iterator, num_batches))
        if not batches:
            return batches, None
        weights = torch.stack([batch["weights"].sum() for batch in batches]).sum().to(device)
        return batches, self.accelerator.gather(weights).sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Loss of one micro-batch as its part of the optimizer step's weighted mean over answer tokens."""
        assert num_items_in_batch is not None, "the trainer did not add up the weights of the step"
        losses: torch.Tensor = model(batch=inputs)
        self.log_of_losses.add(losses.sum(), (inputs["targets"] != IGNORED).sum(), inputs["rows"])
        # Gradients become the mean over the processes, where the step's is their sum.
        return (losses * inputs["weights"]).sum() * self.ranks.size / num_items_in_batch

    def _get_grad_norm(self, model: nn.Module, grad_norm: torch.Tensor | float | None = None) -> Any:
        loop: Any = super()
        norm = loop._get_grad_norm(model, grad_norm=grad_norm)
        self.log_of_losses.add_norm(undivided(norm) if torch.is_tensor(norm) else norm)
        return norm

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


class _Dice(TrainerCallback):
    """Seeds what is left to chance inside the model (dropout) for each step, by seed, step and process alone.

    So a training that goes on has the chance of one that never stopped, and no state of it need be kept.
    """

    def __init__(self, plan: EpochPlan, start_epoch: int, rank: int) -> None:
        self.seed = plan.seed
        self.first_step = start_epoch * plan.steps_per_epoch
        self.rank = rank

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        entropy = [self.seed, self.first_step + state.global_step, self.rank]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))


class Bookkeeper(TrainerCallback):
    """Closes steps in the log, moves the bar, and calls for a checkpoint at the end of the epochs that have one.

    Args:
        log: of losses.
        start_epoch: epochs finished before.
        restore: puts back what an interrupted training had. Called last before the first step: the loop seeds anew and
            wraps the optimizer before that.
        advance: moves the bar.
        stepped: called after each optimizer step, with the number of those since the start.
        checkpoint: called with the number of finished epochs.
    """

    def __init__(
        self,
        log: LossLog,
        *,
        start_epoch: int,
        restore: Callable[[], None],
        advance: Callable[[int], None],
        stepped: Callable[[int], None],
        checkpoint: Callable[[int], None],
    ) -> None:
        self.log = log
        self.start_epoch = start_epoch
        self.restore = restore
        self.advance = advance
        self.stepped = stepped
        self.checkpoint = checkpoint

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore."""
        self.restore()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Close the step."""
        self.stepped(state.global_step)
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
        use_cpu=best_device().type == "cpu",
        ddp_find_unused_parameters=False,
    )
