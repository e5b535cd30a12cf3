"""Everything that one training needs, built once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import set_seed

from nameplate.models.features import num_patches
from nameplate.models.images import ImageCache
from nameplate.models.load import LoadedModel, load_model, stored_dtype
from nameplate.models.optimizers import build_optimizer
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.precision import best_device, frozen_dtype, set_training_attention
from nameplate.models.prompts import PROMPTS, Prompts
from nameplate.models.recompute import recompute_layers
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import VERSION
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.examples import TrainingRows, read_training_rows
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory


@dataclass(frozen=True)
class Training:
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
        """Where the state lies that a resume needs."""
        return self.run.folder("train") / "resume" / "state.safetensors"


def build_training(
    section: TrainSection, model_section: ModelSection, run: RunDirectory, prompts: Prompts = PROMPTS
) -> Training:
    """Load the base, apply the policies, tokenise the rows.

    Raises:
        InputError: nothing to train on, or an image is missing.
        ModelError: the base cannot be loaded, or the policies do not do what they say.
        TrainingError: an example is too long.
    """
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
        micro_batch_size=section.memory.micro_batch_size,
        name_question_share=section.examples.name_question_share,
        seed=section.seed,
    )
    optimizer = build_optimizer(section.optimizer, applied)
    identity = fingerprint(VERSION, section, loaded.fingerprint, loaded.processor.fingerprint, rows.fingerprint)
    return Training(section, model_section.base, run, loaded, applied, images, rows, plan, optimizer, identity)


def _apply(section: TrainSection, loaded: LoadedModel) -> AppliedPolicies:
    dtype = frozen_dtype(stored_dtype(loaded.folder), learning=getattr(torch, section.memory.weights))
    applied = apply_policies(loaded.model, section.policies(), frozen_dtype=dtype, memory=section.memory)
    if section.memory.checkpointing:
        recompute_layers(applied)
    return applied
