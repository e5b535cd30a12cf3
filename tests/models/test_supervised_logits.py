"""Logits at answer tokens alone: loss and gradients are those of logits for every token."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from nameplate.models.batches import collate, loss_sum
from nameplate.models.load import load_model
from nameplate.models.processing import IGNORED

from .tiny_model import SIDE, write_tiny_model


def test_loss_and_gradients_equal_those_of_all_logits(tmp_path: Path) -> None:
    loaded = load_model(str(write_tiny_model(tmp_path / "base")))
    model, processor = loaded.model, loaded.processor
    examples = [processor.encode("Which brand is this?", answer) for answer in ("Acme", "a blue shoe by Zeta")]
    batch = collate(examples, processor.pad_id)
    assert 0 < (batch["targets"] != IGNORED).sum() < batch["input_ids"].numel() / 2
    pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

    def whole() -> torch.Tensor:
        logits = model(input_ids=batch["input_ids"], pixel_values=pixels, use_cache=False).logits
        return functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )

    outcomes = []
    for compute in (whole, lambda: loss_sum(model, batch | {"pixel_values": pixels})):
        model.zero_grad()
        loss = compute()
        loss.backward()
        gradients = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
        outcomes.append((loss.detach(), gradients))
    (wanted, wanted_gradients), (found, found_gradients) = outcomes
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    assert set(found_gradients) == set(wanted_gradients)
    for name, gradient in found_gradients.items():
        torch.testing.assert_close(gradient, wanted_gradients[name], rtol=1e-4, atol=1e-5, msg=name)
