"""Optimizers: over which parameters, what they keep, and that they go on where they stopped."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from nameplate.errors import ModelError
from nameplate.models.groups import hidden_matrices
from nameplate.models.load import load_model
from nameplate.models.optimizers import build_optimizer, check_optimizer
from nameplate.models.optimizers.apollo import GROWTH, Apollo
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.recipe import ComponentPolicy, LanguagePolicy, OptimizerSection
from nameplate.recipe.training import OptimizerName

FULL = ComponentPolicy(mode="full", lr=1e-3, weight_decay=0.1)
LORA = LanguagePolicy(mode="lora", lr=1e-2, rank=4, embeddings="full", head="full")
NAMES: tuple[OptimizerName, ...] = ("adamw", "apollo", "apollo_mini", "muon", "adamw_8bit")


def applied_to(base: Path, language: LanguagePolicy = LORA) -> AppliedPolicies:
    torch.manual_seed(0)  # adapters
    policies = {"vision": FULL, "projector": FULL, "language": language}
    return apply_policies(load_model(str(base)).model, policies)  # type: ignore[arg-type]  # a literal's keys


def needs(name: OptimizerName) -> None:
    if name == "adamw_8bit":
        pytest.importorskip("bitsandbytes")


def give_gradients(parameters: dict[str, nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def steps(optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], seeds: range) -> None:
    for seed in seeds:
        give_gradients(parameters, seed)
        optimizer.step()


@pytest.mark.parametrize("name", NAMES)
def test_every_learning_parameter_moves_at_its_own_rate(base: Path, name: OptimizerName) -> None:
    needs(name)
    applied = applied_to(base)
    trainable = applied.trainable()
    before = {each: parameter.detach().clone() for each, parameter in trainable.items()}
    optimizer = build_optimizer(OptimizerSection(name=name), applied)
    rates = {id(each): group["lr"] for group in optimizer.param_groups for each in group["params"]}
    assert rates == {id(each): 1e-2 if "language_model" in key else 1e-3 for key, each in trainable.items()}
    steps(optimizer, trainable, range(3))
    for key, parameter in trainable.items():
        change = (parameter.detach() - before[key]).square().mean().sqrt()
        # All of them are to be used with AdamW's rates, whose steps are of about the rate's size.
        assert 0.1 < float(change) / rates[id(parameter)] < 10, key


def test_hidden_matrices_are_those_of_linear_modules_alone(base: Path) -> None:
    applied = applied_to(base)
    hidden = hidden_matrices(applied)
    names = {key for key, parameter in applied.trainable().items() if id(parameter) in hidden}
    assert any("vision_tower" in key for key in names)
    assert {key for key in names if "multi_modal_projector" in key} == {
        "model.multi_modal_projector.linear_1.weight",
        "model.multi_modal_projector.linear_2.weight",
    }
    assert not any("language_model" in key for key in names)  # adapters, embeddings and head
    assert not any("patch_embeddings" in key or "norm" in key or key.endswith("bias") for key in names)
    everything = applied_to(base, LanguagePolicy(mode="full"))
    language = {key for key, each in everything.trainable().items() if id(each) in hidden_matrices(everything)}
    assert any("language_model.layers.0" in key for key in language)
    assert not any("embed_tokens" in key or "lm_head" in key for key in language)


def test_apollo_keeps_low_rank_moments_for_every_component(base: Path) -> None:
    applied = applied_to(base, LanguagePolicy(mode="full"))
    sizes = {}
    for name in ("adamw", "apollo", "apollo_mini"):
        optimizer = build_optimizer(OptimizerSection(name=name, rank=4 if name == "apollo" else None), applied)
        steps(optimizer, applied.trainable(), range(1))
        hidden = hidden_matrices(applied)
        sizes[name] = sum(
            state[field].numel()
            for parameter, state in optimizer.state.items()
            if id(parameter) in hidden
            for field in ("exp_avg", "exp_avg_sq")
        )
    matrices = [parameter for parameter in applied.trainable().values() if id(parameter) in hidden_matrices(applied)]
    assert sizes["adamw"] == 2 * sum(matrix.numel() for matrix in matrices)
    assert sizes["apollo"] == 2 * sum(4 * max(matrix.shape) for matrix in matrices)
    assert sizes["apollo_mini"] == 2 * sum(max(matrix.shape) for matrix in matrices)


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_state_goes_on_exactly(base: Path, name: OptimizerName) -> None:
    needs(name)
    section = OptimizerSection.model_validate(
        {"name": name} | ({"update_interval": 3} if name.startswith("apollo") else {})
    )
    whole, halves = applied_to(base), applied_to(base)
    steps(build_optimizer(section, whole), whole.trainable(), range(5))
    first = build_optimizer(section, halves)
    steps(first, halves.trainable(), range(2))
    second = build_optimizer(section, halves)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(second, halves.trainable(), range(2, 5))
    for (key, one), other in zip(whole.trainable().items(), halves.trainable().values(), strict=True):
        assert torch.equal(one, other), key


def test_apollo_with_a_projection_that_loses_nothing_scales_as_adamw_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the identity for a projection, each row's step has the norm of AdamW's and the gradient's direction."""
    monkeypatch.setattr("nameplate.models.optimizers.apollo.projection", lambda side, rank, **_: torch.eye(side)[:rank])
    monkeypatch.setattr("nameplate.models.optimizers.apollo.GROWTH", 1e9)
    for shape in ((12, 8), (8, 12)):
        start = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
        apollo = Apollo([{"params": [ours], "lr": 0.01, "weight_decay": 0.1}], betas=(0.9, 0.99), eps=1e-8, rank=8)
        adamw = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1, betas=(0.9, 0.99), eps=1e-8)
        for seed in range(4):
            gradient = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
            ours.data.copy_(theirs.data)
            before = ours.detach().clone()
            ours.grad, theirs.grad = gradient, gradient.clone()
            apollo.step()
            adamw.step()
            decayed = before * (1 - 0.01 * 0.1)
            axis = 1 if shape[0] >= shape[1] else 0
            step, wanted = decayed - ours.detach(), decayed - theirs.detach()
            assert torch.allclose(step.norm(dim=axis), wanted.norm(dim=axis), rtol=1e-4)
            assert torch.allclose(
                step / step.norm(dim=axis, keepdim=True), gradient / gradient.norm(dim=axis, keepdim=True), atol=1e-4
            )


def test_apollo_lets_the_norm_of_an_update_grow_slowly() -> None:
    matrix = nn.Parameter(torch.zeros(8, 6))
    apollo = Apollo([{"params": [matrix], "lr": 1.0}], betas=(0.0, 0.999), eps=1e-8, rank=4)
    gradient = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    norms = []
    for scale in (1.0, 1e-3, 1.0):
        before = matrix.detach().clone()
        matrix.grad = gradient * scale
        apollo.step()
        norms.append(float((matrix.detach() - before).norm()))
    assert norms[2] == pytest.approx(GROWTH * norms[1], rel=1e-4)


def test_apollo_has_a_new_projection_for_each_matrix_and_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def noted(side: int, rank: int, *, seed: int, device: torch.device) -> torch.Tensor:
        seeds.append(seed)
        return torch.ones(rank, side)

    monkeypatch.setattr("nameplate.models.optimizers.apollo.projection", noted)
    matrices = {"a": nn.Parameter(torch.ones(4, 4)), "b": nn.Parameter(torch.ones(4, 4))}
    apollo = Apollo(
        [{"params": [matrix], "lr": 0.1} for matrix in matrices.values()],
        betas=(0.9, 0.999),
        eps=1e-8,
        rank=2,
        update_interval=3,
    )
    steps(apollo, matrices, range(6))
    assert len(set(seeds)) == 4
    for place in (0, 1):
        own = seeds[place::2]
        assert own == [own[0]] * 3 + [own[3]] * 3


def test_a_matrix_without_a_gradient_stays_and_may_begin_later() -> None:
    matrix = nn.Parameter(torch.ones(4, 4))
    apollo = Apollo([{"params": [matrix], "lr": 0.1}], betas=(0.9, 0.999), eps=1e-8, rank=2)
    matrix.grad = torch.zeros(4, 4)
    apollo.step()
    assert torch.equal(matrix, torch.ones(4, 4))
    matrix.grad = torch.eye(4)
    apollo.step()
    assert torch.isfinite(matrix).all()
    assert not torch.equal(matrix, torch.ones(4, 4))


@pytest.mark.parametrize("name", ["apollo", "apollo_mini", "muon"])
def test_an_optimizer_for_matrices_without_any_is_refused(base: Path, name: OptimizerName) -> None:
    frozen = ComponentPolicy()
    policies = {"vision": frozen, "projector": frozen, "language": LORA}
    applied = apply_policies(load_model(str(base)).model, policies)  # type: ignore[arg-type]  # a literal's keys
    with pytest.raises(ModelError, match=rf"train.optimizer.name: {name}: no matrix.*set it to adamw"):
        build_optimizer(OptimizerSection(name=name), applied)


def test_eight_bits_without_the_library_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"bitsandbytes is not installed.*nameplate\[quantise\]"):
        check_optimizer(OptimizerSection(name="adamw_8bit"))
