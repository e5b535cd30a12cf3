"""Everything that one training needs, built once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from transformers import set_seed

from nameplate.models.averaging import MovingAverage
from nameplate.models.images import ImageCache
from nameplate.models.load import LoadedModel, load_model, stored_dtype
from nameplate.models.optimizers import build_optimizer, check_optimizer
from nameplate.models.policy import AppliedPolicies
from nameplate.models.precision import best_device
from nameplate.models.preparing import prepare_model
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import VERSION
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.examples import TrainingRows
from nameplate.stages.train.objective import give_losses
from nameplate.stages.train.ranks.fitting import check_divisible
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.ranks.plain import Laid, leave_out_frozen
from nameplate.stages.train.ranks.plugins import Sharding
from nameplate.stages.train.ranks.shards import divide
from nameplate.stages.train.reading import read_training_rows
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory


@dataclass(frozen=True)
class Training:
    """Everything that one training needs, built once."""

    section: TrainSection
    model_section: ModelSection
    ranks: Ranks
    run: RunDirectory
    loaded: LoadedModel
    applied: AppliedPolicies
    images: ImageCache
    rows: TrainingRows
    plan: EpochPlan
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    """Of what learns; none: checkpoints hold the weights themselves."""
    fingerprint: str

    @property
    def resume_path(self) -> Path:
        """Where the state lies that a resume needs."""
        return self.run.folder("train") / "resume" / "state.safetensors"


def build_training(
    section: TrainSection,
    model_section: ModelSection,
    run: RunDirectory,
    prompts: Prompts = PROMPTS,
    *,
    ranks: Ranks | None = None,
) -> Training:
    """Load the base, apply the policies, tokenise the rows.

    Raises:
        InputError: nothing to train on, or an image is missing.
        ModelError: the base cannot be loaded, or the policies do not do what they say.
        TrainingError: an example is too long, or the optimizer does not go with divided weights.
    """
    ranks = ranks or Ranks()
    check_optimizer(section.optimizer)
    check_divisible(section, ranks.division)
    loaded = load_model(model_section.base, dtype=torch.float32, max_tiles=model_section.max_tiles)
    module: nn.Module = loaded.model
    module.to(best_device())
    max_tokens = int(loaded.model.config.get_text_config().max_position_embeddings)
    images = ImageCache(run.images, loaded.processor)
    rows = read_training_rows(run, images, prompts, max_tokens=max_tokens, section=section.examples)
    set_seed(section.seed)
    applied = prepare_model(loaded.model, section, stored=stored_dtype(loaded.folder), longest=rows.longest)
    give_losses(loaded.model)
    if ranks.size > 1:
        leave_out_frozen(Laid(loaded, applied))
    plan = EpochPlan(
        rows,
        batch_size=section.batch_size,
        micro_batch_size=section.memory.micro_batch_size,
        section=section.examples,
        seed=section.seed,
    )
    optimizer, average = _steps(section, applied)
    identity = fingerprint(
        VERSION, section.without_means(), loaded.fingerprint, loaded.processor.fingerprint, rows.fingerprint
    )
    return Training(
        section, model_section, ranks, run, loaded, applied, images, rows, plan, optimizer, average, identity
    )


def divided(training: Training) -> Training:
    """The same training with its weights divided among the processes, where the launch asks for that (FSDP2).

    What is computed once must be computed before.
    """
    division = training.ranks.division
    if not isinstance(division, Sharding):
        return training
    applied = divide(training.loaded.model, training.applied, division)
    optimizer, average = _steps(training.section, applied)
    return replace(training, applied=applied, optimizer=optimizer, average=average)


def lay_twin(training: Training) -> Laid:
    """The base once more, under the same policies, on the CPU. The state of chance stays as it is."""
    section = training.model_section
    with torch.random.fork_rng():
        loaded = load_model(section.base, dtype=torch.float32, max_tiles=section.max_tiles)
        return Laid(loaded, prepare_model(loaded.model, training.section, stored=stored_dtype(loaded.folder)))


def _steps(section: TrainSection, applied: AppliedPolicies) -> tuple[torch.optim.Optimizer, MovingAverage | None]:
    optimizer = build_optimizer(section.optimizer, applied, seed=section.seed)
    decay = section.optimizer.ema_decay
    return optimizer, MovingAverage(applied.trainable(), decay=decay) if decay is not None else None
