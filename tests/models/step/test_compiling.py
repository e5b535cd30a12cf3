"""Compiled layers compute what plain ones do, each with its own weights, for any length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.exc import InternalTorchDynamoError
from torch._dynamo.utils import counters

from nameplate.models.batches import collate, loss_sum
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.precision import set_training_attention
from nameplate.models.prefix.skipping import language_layers
from nameplate.models.step import compiling
from nameplate.models.step.compiling import (
    CompilerFailureError,
    catching_calls,
    compile_layers,
    has_compiler,
    try_compiled,
)

from ..tiny_model import SIDE, write_tiny_model

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="there is no C++ compiler")


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[LoadedModel]:
    torch.compiler.reset()
    found = load_model(str(write_tiny_model(tmp_path / "base")))
    set_training_attention(found.model, longest=64)
    yield found
    torch.compiler.reset()


def loss(loaded: LoadedModel, *answers: str) -> torch.Tensor:
    examples = [loaded.processor.encode("Which brand is this?", answer) for answer in answers]
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(len(answers), 3, SIDE, SIDE, generator=generator)
    return loss_sum(loaded.model, collate(examples, loaded.processor.pad_id) | {"pixel_values": pixels})


SHORT = ("Acme", "Zeta")
LONG = ("a blue shoe by Zeta on grey ground. The Zeta mark is small.", "a red mug by Acme", "Acme")


def outcome(loaded: LoadedModel, answers: tuple[str, ...]) -> dict[str, torch.Tensor]:
    loaded.model.zero_grad()
    value = loss(loaded, *answers)
    value.backward()
    gradients = {name: each.grad for name, each in loaded.model.named_parameters() if each.grad is not None}
    return {"loss": value.detach(), **gradients}


def test_loss_and_all_gradients_are_those_of_plain_layers(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    # What torch traces and differentiates, without the C++ that takes it long to write.
    monkeypatch.setattr(compiling, "_compiled", partial(torch.compile, dynamic=True, backend="aot_eager"))
    plain = {answers: outcome(loaded, answers) for answers in (LONG, SHORT)}
    layers = language_layers(loaded.model)
    assert len(layers) > 1
    compile_layers(layers)
    before = counters["stats"]["unique_graphs"]
    graphs: list[int] = []
    for answers, wanted in plain.items():
        found = outcome(loaded, answers)
        assert found.keys() == wanted.keys()
        torch.testing.assert_close(found["loss"], wanted["loss"], rtol=1e-4, atol=0)
        for name in wanted:
            torch.testing.assert_close(found[name], wanted[name], rtol=1e-3, atol=1e-5, msg=name)
        graphs.append(counters["stats"]["unique_graphs"] - before)
    assert graphs[0] == 1, "each layer was compiled by itself"
    assert graphs[-1] <= 2, "each length was compiled by itself"


@needs_compiler
def test_a_real_compiler_passes_its_trial() -> None:
    layer, inputs = Gate(), torch.randn(3, 40, 16, requires_grad=True)
    trial = try_compiled(layer, compiling.Call((), {"hidden_states": inputs}))
    assert trial.difference < 1e-5
    assert trial.allowed == 1e-4
    assert inputs.grad is None


class Gate(nn.Module):
    """A layer that is nothing but what lies between products."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(16))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        normed = hidden_states * torch.rsqrt(hidden_states.square().mean(-1, keepdim=True) + 1e-6)
        return hidden_states + nn.functional.silu(self.scale * normed)


def test_without_gradients_and_for_single_rows_layers_run_as_they_were(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was compiled")

    monkeypatch.setattr(compiling, "_compiled", lambda _: refuse)
    compile_layers(language_layers(loaded.model))
    with torch.no_grad():
        loss(loaded, *LONG)
    loss(loaded, SHORT[0]).backward()
    with pytest.raises(AssertionError, match="it was compiled"):
        loss(loaded, *LONG)


def test_a_trial_finds_what_differs_and_leaves_the_layer_alone(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = language_layers(loaded.model)[-1]
    monkeypatch.setattr(compiling, "_compiled", lambda plain: lambda *given, **named: 1.5 * plain(*given, **named))
    before = layer.forward
    with catching_calls([layer]) as calls:
        loss(loaded, *LONG)
    trial = try_compiled(layer, calls[layer])
    assert trial.difference == pytest.approx(1.25, rel=0.01)
    assert not trial.pays
    assert layer.forward == before
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_a_broken_cache_is_left_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "broken")

    def compiled(forward: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            if os.environ["TORCHINDUCTOR_CACHE_DIR"] == "broken":
                raise InternalTorchDynamoError("file too short")
            return forward(*arguments, **named)

        return run

    monkeypatch.setattr(compiling, "_compiled", compiled)
    trial = try_compiled(nn.Linear(2, 2), compiling.Call((torch.ones(2, 2, requires_grad=True),), {}))
    assert trial.difference == 0
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).is_dir()


def test_a_compiler_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "any")

    def fail(*_: object, **__: object) -> None:
        raise InternalTorchDynamoError("no such header\nand a long story")

    monkeypatch.setattr(compiling, "_compiled", lambda _: fail)
    with pytest.raises(CompilerFailureError, match=r"^no such header$"):
        try_compiled(nn.Linear(2, 2), compiling.Call((torch.ones(2, 2),), {}))
