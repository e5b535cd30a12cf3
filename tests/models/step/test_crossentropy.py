"""Losses of single places: those of torch, however they are divided, and nothing of what carries no loss."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nameplate.models.step import crossentropy
from nameplate.models.step.crossentropy import divided_as_on, place_losses

IGNORED = -100


def rows(dtype: torch.dtype, *, count: int = 23, words: int = 50) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, targets of which some carry no loss, and how much each counts."""
    generator = torch.Generator().manual_seed(0)
    logits = (8 * torch.randn(count, words, generator=generator)).to(dtype).requires_grad_()
    targets = torch.randint(0, words, (count,), generator=generator)
    targets[::4] = IGNORED
    return logits, targets, torch.rand(count, generator=generator)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-3)])
@pytest.mark.parametrize("elements", [1, 150, 1 << 18])
def test_losses_and_gradients_are_torchs(
    dtype: torch.dtype, tolerance: float, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(crossentropy._ELEMENTS, "cpu", elements)
    logits, targets, weights = rows(dtype)
    wanted = functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="none")
    (wanted_gradient,) = torch.autograd.grad((wanted * weights).sum(), logits)
    found = place_losses(logits, targets, ignored=IGNORED)
    (gradient,) = torch.autograd.grad((found * weights).sum(), logits)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    assert gradient.dtype == dtype
    # bfloat16: both round the same number once, to 8 binary digits.
    torch.testing.assert_close(gradient, wanted_gradient, rtol=4 * tolerance, atol=1e-6)


def test_rows_are_divided_as_on_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(crossentropy._ELEMENTS, "cpu", 150)
    logits, targets, _ = rows(torch.float32)
    divided = [values.shape for _, values in crossentropy._parts(logits.detach())]
    assert divided == [(3, 50)] * 7 + [(2, 50)]
    here = place_losses(logits, targets, ignored=IGNORED)
    with divided_as_on("cuda"):
        assert [values.shape for _, values in crossentropy._parts(logits.detach())] == [(23, 50)]
        torch.testing.assert_close(place_losses(logits, targets, ignored=IGNORED), here)
    assert len(list(crossentropy._parts(logits.detach()))) == len(divided)


def test_finite_differences_agree() -> None:
    logits, targets, _ = rows(torch.float32, count=5, words=7)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    place_losses(logits, targets, ignored=IGNORED).sum().backward()
    assert logits.grad is not None
    step = 1e-2
    above, below = (
        place_losses(logits.detach() + sign * step * direction, targets, ignored=IGNORED).double().sum()
        for sign in (1, -1)
    )
    assert float((above - below) / (2 * step)) == pytest.approx(float((logits.grad * direction).sum()), rel=1e-3)


def test_large_logits_neither_overflow_nor_vanish() -> None:
    logits = torch.tensor([[3e4, -3e4, 0.0]], requires_grad=True)
    loss = place_losses(logits, torch.tensor([1]), ignored=IGNORED)
    loss.sum().backward()
    assert loss.tolist() == [6e4]
    assert logits.grad is not None
    assert logits.grad.tolist() == [[1.0, -1.0, 0.0]]


def test_what_carries_no_loss_is_zero_even_where_it_is_no_number() -> None:
    logits = torch.tensor([[1.0, 2.0], [float("nan"), 1.0]])
    losses = place_losses(logits, torch.tensor([0, IGNORED]), ignored=IGNORED)
    assert losses[1] == 0
    assert torch.isfinite(losses[0])


def test_a_loss_that_is_no_number_is_said() -> None:
    logits = torch.tensor([[float("nan"), 1.0]])
    assert torch.isnan(place_losses(logits, torch.tensor([0]), ignored=IGNORED)).all()
