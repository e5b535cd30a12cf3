"""A tiny model under policies, with examples about a tiny run's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.models.batches import Batch, collate
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.prefix.frozen import FrozenPrefix, Item
from nameplate.models.prefix.levels import judge_levels
from nameplate.models.prefix.skipping import language_layers
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.prompts import PROMPTS
from nameplate.recipe import TrainSection
from nameplate.recipe.training import PrefixLevel
from nameplate.stages.train.objective import batch_loss, give_losses

FULL = {"mode": "full"}
FROZEN = {"mode": "frozen"}
LORA = {"mode": "lora", "rank": 4}
BUDGET = 1 << 30


class Shop(NamedTuple):
    """A model that is being trained, and what on."""

    loaded: LoadedModel
    applied: AppliedPolicies
    images: ImageCache
    items: list[Item]
    store: PrefixStore

    def prefix(self, level: PrefixLevel) -> FrozenPrefix:
        """A level of the model, nothing of it computed yet in this store."""
        verdict = judge_levels(
            self.applied.policies, model_type="internvl", num_layers=len(language_layers(self.loaded.model))
        )[level]
        return FrozenPrefix(self.loaded.model, self.images.unkept(), verdict, self.store)

    def batch(self, items: Sequence[Item], prefix: FrozenPrefix | None) -> Batch:
        """As the collator makes it."""
        batch = collate([item.encoded for item in items], self.loaded.processor.pad_id)
        if prefix is None:
            return batch | self.images.batch([item.image for item in items]).merged()
        return batch | prefix.inputs(items, length=batch["input_ids"].shape[1])

    def learned(self, items: Sequence[Item], prefix: FrozenPrefix | None) -> dict[str, torch.Tensor]:
        """Loss and every gradient of one batch."""
        model = self.loaded.model
        model.train()
        model.zero_grad(set_to_none=True)
        loss = batch_loss(model, self.batch(items, prefix))
        torch.autograd.backward(loss)
        gradients = {
            name: each.grad.clone() for name, each in self.applied.trainable().items() if each.grad is not None
        }
        assert gradients.keys() == self.applied.trainable().keys()
        return {"loss": loss.detach(), **gradients}


def open_shop(
    root: Path, policies: Mapping[str, Mapping[str, object]], *, tie: bool = False, same_length: bool = False
) -> Shop:
    """A shop with twelve captions and twelve name questions."""
    loaded = load_model(str(write_tiny_model(root / "model", tie=tie)))
    torch.manual_seed(0)
    section = TrainSection.model_validate(policies)
    applied = apply_policies(loaded.model, section.policies())
    give_losses(loaded.model)
    run = write_tiny_run(root / "run", train=12)
    images = ImageCache(run.images, loaded.processor)
    items = []
    for row in run.tables("split").read_kept().to_pylist()[:12]:
        key = ImageKey(row["image_sha256"], row["image_ext"])
        caption = "a red mug by Acme" if same_length else row["caption"]
        items.append(Item(key, loaded.processor.encode(PROMPTS["detail"], caption)))
        if not same_length:
            items.append(Item(key, loaded.processor.encode(PROMPTS["name"], row["name"])))
    return Shop(loaded, applied, images, items, PrefixStore(root / "store", max_bytes=BUDGET))
