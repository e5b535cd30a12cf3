"""Learning weights computed with in bfloat16: what is learned stays float32, and recomputation changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from nameplate.models.load import load_model
from nameplate.models.step.shortweights import shorten_weights

from ..tiny_model import write_tiny_model


class Block(nn.Module):
    """Parameters of its own beside those of its children, as a vision layer has."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.linear = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.full((8,), 0.5))
        self.seen: set[torch.dtype] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add(self.scale.dtype)
        return x + self.scale * self.linear(self.norm(x))


def outcome(block: Block, x: torch.Tensor, *, again: bool = False) -> dict[str, torch.Tensor]:
    block.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        y = checkpoint(block, x, use_reentrant=False) if again else block(x)
    y.float().square().sum().backward()
    found = {name: each.grad.clone() for name, each in block.named_parameters() if each.grad is not None}
    return {"": y.detach(), **found}


@pytest.fixture
def block() -> Block:
    torch.manual_seed(0)
    return Block()


def test_everything_between_products_is_short_and_gradients_are_not(block: Block) -> None:
    x = torch.randn(4, 8).bfloat16()
    before = outcome(block, x)
    assert before[""].dtype == torch.float32, "autocast alone leaves the scale long"
    assert shorten_weights(block, torch.bfloat16) == 3
    after = outcome(block, x)
    assert after[""].dtype == torch.bfloat16
    assert set(after) == set(before) == {"", *dict(block.named_parameters())}
    for name, gradient in after.items():
        torch.testing.assert_close(gradient.float(), before[name].float(), rtol=0.03, atol=0.1)
    assert all(each.dtype == torch.float32 and each.grad.dtype == torch.float32 for each in block.parameters())


def test_what_comes_from_a_part_in_long_numbers_is_shortened_too(block: Block) -> None:
    shorten_weights(block, torch.bfloat16)
    x = torch.randn(4, 8)
    assert torch.equal(outcome(block, x)[""], outcome(block, x.bfloat16())[""])


def test_recomputation_gives_the_same_gradients_bit_for_bit(block: Block) -> None:
    shorten_weights(block, torch.bfloat16)
    x = torch.randn(4, 8).bfloat16()
    once, twice = outcome(block, x), outcome(block, x, again=True)
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_parameters_are_themselves_again_after_an_error(block: Block) -> None:
    shorten_weights(block, torch.bfloat16)
    before = dict(block.named_parameters())
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError):
        block(torch.randn(4, 5))
    assert all(each is before[name] for name, each in block.named_parameters())


def test_frozen_weights_and_computing_without_autocast_are_left_alone(block: Block) -> None:
    x = torch.randn(4, 8)
    before = block(x)
    block.linear.requires_grad_(False)
    assert shorten_weights(block, torch.bfloat16) == 2
    assert torch.equal(block(x), before)


def test_a_table_of_embeddings_is_looked_up_before_it_is_shortened() -> None:
    table = nn.Embedding(5, 4)
    shorten_weights(table, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        rows = table(torch.tensor([1, 1, 3]))
    assert rows.dtype == torch.bfloat16
    rows.float().sum().backward()
    assert table.weight.grad is not None
    assert table.weight.grad.sum(1).tolist() == [0, 8, 0, 4, 0]


def test_the_whole_model_keeps_its_names_and_values(tmp_path: Path) -> None:
    model = load_model(str(write_tiny_model(tmp_path / "base"))).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shorten_weights(model, torch.bfloat16)
    assert list(before) == list(model.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
