"""What of the frozen prefix can be kept on disk, how large it would be, and what it would spare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import torch
from transformers import PreTrainedModel

from nameplate.models.plan.ledger import Amount, Owner, Work
from nameplate.models.plan.workload import Workload
from nameplate.models.policy import AppliedPolicies
from nameplate.models.prefix.levels import MEANINGS, judge_levels
from nameplate.recipe import TrainSection
from nameplate.recipe.training import PrefixLevel

DISK_BYTES_PER_SECOND: Final = 1e9
"""Assumed of reading and writing a local solid-state disk."""


class Level(NamedTuple):
    """One level that is valid under a policy."""

    name: PrefixLevel
    what: str
    arithmetic: str
    """Its size."""
    bytes: int
    num_layers: int
    """Of the language model that are part of it."""


def valid_levels(
    model: PreTrainedModel, applied: AppliedPolicies, load: Workload, section: TrainSection
) -> Iterator[Level]:
    """Shallow first; which are valid is the rule by which training keeps them."""
    policies = section.policies()
    depth = len(applied.components["language"].layers)
    augmented = section.examples.augment != "off"
    kind = str(model.config.model_type)
    for verdict in judge_levels(policies, model_type=kind, num_layers=depth, augmented=augmented).values():
        arithmetic, size = _size(verdict.level, model, applied, load, section)
        if verdict.valid and size:
            yield Level(verdict.level, MEANINGS[verdict.level], arithmetic, size, verdict.num_layers)


def spared(work: Mapping[Work, Amount], level: Level | None) -> dict[Work, Amount]:
    """Of a micro-batch's work, what a kept level spares: the forward pass of what comes before it."""
    return {each: amount for each, amount in work.items() if each.during == "forward" and _before(each.owner, level)}


def _before(owner: Owner, level: Level | None) -> bool:
    if level is None or level.name == "tiles":
        return False
    if owner.part == "language":
        return owner.layer is not None and owner.layer < level.num_layers
    return owner.part == "vision" or (owner.part == "projector" and level.name != "vision")


def _size(
    level: PrefixLevel, model: PreTrainedModel, applied: AppliedPolicies, load: Workload, section: TrainSection
) -> tuple[str, int]:
    """As arithmetic, and in bytes; 0: not known of this family."""
    if load.tile_side is None:
        return "", 0
    tiles, tokens = round(load.images * load.tiles), round(load.images * load.image_tokens)
    side, width = load.tile_side, int(model.config.get_text_config().hidden_size)
    short = any(each.dtype == torch.bfloat16 for each in applied.components["vision"].parameters.values())
    size = 2 if short else 4
    if level == "tiles":
        return f"{tiles:,} tiles x {side} x {side} x 3 bytes", tiles * side * side * 3
    if level == "hidden":
        # An example is what is asked: a caption and a name question of one image are two.
        kinds = 2 if 0 < section.examples.name_question_share < 1 else 1
        count = round(load.rows * (load.image_tokens + load.text_tokens)) * kinds
        return f"{count:,} tokens of {kinds} examples a row x {width} x {size} bytes", count * width * size
    if level == "vision":
        width = round(model.config.vision_config.hidden_size / model.config.downsample_ratio**2)
    return f"{tokens:,} image tokens x {width} x {size} bytes", tokens * width * size
