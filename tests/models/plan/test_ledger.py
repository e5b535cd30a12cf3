"""Counting bytes and products, on tensors small enough to count by hand."""

from __future__ import annotations

import torch
from torch import nn

from nameplate.models.plan.ledger import Ledger, Owner, Work
from nameplate.models.plan.shapes import shapes_only


def test_live_bytes_are_those_of_storages_that_are_there() -> None:
    with Ledger({}) as ledger:
        first = torch.empty(1000)
        view = first[:10].view(2, 5)
        assert ledger.live == 4000
        second = torch.empty(500, dtype=torch.float64)
        assert (ledger.live, ledger.peak) == (8000, 8000)
        del first
        assert ledger.live == 8000, "the view keeps the storage"
        del view, second
    assert (ledger.live, ledger.peak) == (0, 8000)


def test_tensors_without_values_count_alike() -> None:
    with shapes_only(), Ledger({}) as ledger:
        huge = torch.empty(1 << 40)
        assert ledger.live == 4 << 40
        del huge
        assert ledger.live == 0


def test_products_are_told_apart() -> None:
    layer = nn.Linear(3, 5)
    inputs = torch.randn(7, 3, requires_grad=True)
    owner = Owner("projector", 2)
    with Ledger(dict.fromkeys(layer.parameters(), owner)) as ledger:
        loss = layer(inputs).sum()
        ledger.backward = True
        loss.backward()
    found = {work: (amount.calls, amount.weights, amount.flops) for work, amount in ledger.work.items()}
    each = (1, 15, 2 * 7 * 15)
    assert found == {
        Work(owner, "forward", "weights", 7): each,
        Work(owner, "input_gradient", "weights", 7): each,
        Work(owner, "weight_gradient", "weights", 7): each,
    }


def test_frozen_weights_have_no_gradient_to_count() -> None:
    layer = nn.Linear(3, 5).requires_grad_(False)
    inputs = torch.randn(7, 3, requires_grad=True)
    with Ledger(dict.fromkeys(layer.parameters(), Owner("language"))) as ledger:
        loss = layer(inputs).sum()
        ledger.backward = True
        loss.backward()
    assert [work.during for work in ledger.work] == ["forward", "input_gradient"]
