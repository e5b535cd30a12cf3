"""A frozen language model in 8 or 4 bits: gradients pass, what learns learns, and checkpoints hold what was there."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from nameplate.errors import ModelError
from nameplate.models import quantise
from nameplate.models.adapters import plain_state_dict
from nameplate.models.audit import audit_gradients
from nameplate.models.groups import parameter_groups
from nameplate.models.parts import component_rows
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.recompute import recompute_layers
from nameplate.recipe import ComponentPolicy, MemorySection

from .tiny_families import build, loss_of

POLICIES = {
    "vision": ComponentPolicy(mode="last", num_layers=1, lr=1e-3),
    "projector": ComponentPolicy(mode="full", lr=1e-3),
    "language": ComponentPolicy(),
}
WORST_ANGLE = {"int8": 0.9998, "nf4": 0.95}
"""Least cosine between a gradient through the quantised model and through the whole one; worst of four seeds 0.99998,
0.966."""

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed (nameplate[quantise])"
)


def gradients(applied: AppliedPolicies, loss: torch.Tensor) -> torch.Tensor:
    loss.backward()
    found = [each.grad for each in applied.trainable().values()]
    return torch.cat([each.flatten() for each in found if each is not None])


@needs_library
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_gradients_pass_through_a_quantised_language_model(kind: quantise.Kind, recompute: bool) -> None:
    whole, small = build("internvl"), build("internvl")
    before = {name: each.clone() for name, each in small.state_dict().items()}
    plain = apply_policies(whole, POLICIES)
    applied = apply_policies(small, POLICIES, memory=MemorySection(quantise=kind))
    if recompute:
        recompute_layers(applied)
    optimizer = torch.optim.AdamW(parameter_groups(applied))
    audit_gradients(small.train(), applied, optimizer, lambda: loss_of(small, "internvl"))
    exact = gradients(plain, loss_of(whole, "internvl"))
    through = gradients(applied, loss_of(small, "internvl"))
    assert torch.cosine_similarity(exact, through, dim=0) > WORST_ANGLE[kind]
    optimizer.step()
    state = plain_state_dict(small)
    assert set(state) == set(before)
    learning = set(applied.trainable())
    assert {name for name, each in state.items() if not each.equal(before[name])} == learning


@needs_library
@pytest.mark.parametrize(("kind", "dtype"), [("int8", "int8"), ("nf4", "uint8")])
def test_table_counts_quantised_weights_as_what_they_were(kind: quantise.Kind, dtype: str) -> None:
    model = build("internvl")
    wanted = [row.parameters for row in component_rows(apply_policies(build("internvl"), POLICIES))]
    rows = component_rows(apply_policies(model, POLICIES, memory=MemorySection(quantise=kind)))
    assert [row.parameters for row in rows] == wanted
    assert rows[2].dtype == f"{dtype}+float32"


def test_without_the_library_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"bitsandbytes is not installed; pip install 'nameplate\[quantise\]'"):
        apply_policies(build("internvl"), POLICIES, memory=MemorySection(quantise="nf4"))
