"""`train.memory.attention`: what is computed stays the same, and what cannot be is refused with a reason."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, PreTrainedModel

from nameplate.errors import ModelError, RecipeError
from nameplate.models.batches import collate, loss_sum
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.packing import can_pack
from nameplate.models.precision import set_training_attention
from nameplate.recipe import Attention, TrainSection, build_recipe

from .tiny_model import SIDE, write_tiny_model


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedModel:
    return load_model(str(write_tiny_model(tmp_path / "base")))


def attentions(model: PreTrainedModel) -> set[str]:
    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    return {str(part.config._attn_implementation) for part in parts}


@pytest.mark.parametrize("wanted", ["eager", "sdpa"])
def test_each_attention_computes_what_ours_does(loaded: LoadedModel, wanted: Attention) -> None:
    answers = ["red", "a red mug by Acme on a white table"]
    batch = collate([loaded.processor.encode("Which brand?", each) for each in answers], loaded.processor.pad_id)
    batch["pixel_values"] = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))

    def outcome(attention: Attention) -> tuple[torch.Tensor, list[torch.Tensor]]:
        set_training_attention(loaded.model, attention, longest=1)
        learning = [each for each in loaded.model.parameters() if each.requires_grad]
        loss = loss_sum(loaded.model, batch)
        return loss.detach(), list(torch.autograd.grad(loss, learning, allow_unused=True))

    loss, gradients = outcome("auto")
    assert "nameplate_short" in attentions(loaded.model)
    found, others = outcome(wanted)
    assert attentions(loaded.model) == {wanted}
    torch.testing.assert_close(found, loss, rtol=1e-5, atol=0)
    for ours, theirs in zip(gradients, others, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is not None, reason="flash attention is installed")
def test_an_attention_that_is_not_installed_is_refused_with_the_reason(loaded: LoadedModel) -> None:
    with pytest.raises(ModelError, match=r"train\.memory\.attention.*flash_attention_2.*FlashAttention2"):
        set_training_attention(loaded.model, "flash_attention_2", longest=1)


def test_flex_attention_is_refused_where_it_cannot_learn(loaded: LoadedModel) -> None:
    with pytest.raises(ModelError, match=r"train\.memory\.attention.*flex_attention.*no backward pass"):
        set_training_attention(loaded.model, "flex_attention", longest=1)


class OwnAttention(nn.Module):
    """One that transformers cannot exchange: it asks for none by name."""


class WithItsOwn(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A model written before attentions had names."""

    config_class = LlamaConfig

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.mixing = OwnAttention()


def test_a_model_with_an_attention_of_its_own_is_not_said_to_have_another() -> None:
    with pytest.raises(ModelError, match=r"train\.memory\.attention.*sdpa, but parts .* as eager"):
        set_training_attention(WithItsOwn(LlamaConfig()), "sdpa", longest=1)


def test_rows_are_not_packed_for_flash_attention_which_has_no_masks(loaded: LoadedModel) -> None:
    assert can_pack(loaded.model)
    loaded.model.config._attn_implementation = "flash_attention_2"
    assert not can_pack(loaded.model)


def test_an_attention_that_nobody_knows_is_refused_when_the_recipe_is_read() -> None:
    tree = {"table": {"source": "shop.csv"}, "train": {"memory": {"attention": "flash"}}}
    with pytest.raises(RecipeError, match=r"train\.memory\.attention.*flash_attention_2"):
        build_recipe(tree, where="here")


def test_which_attention_computes_is_no_part_of_what_a_training_is() -> None:
    plain = TrainSection(preset="frozen-language")
    named = plain.model_copy(update={"memory": plain.memory.model_copy(update={"attention": "eager"})})
    assert named.without_means() == plain.without_means()
