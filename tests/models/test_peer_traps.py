"""The traps of other trainers' freeze flags, T1 to T8: here each does the right thing, or is refused.

They were found in LLaMA-Factory 0.9.5 (T1 to T7 at that tag, T8 in its rewritten engine).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from nameplate.errors import ModelError, RecipeError
from nameplate.models.audit import GradientAudit, audit_gradients
from nameplate.models.groups import parameter_groups
from nameplate.models.load import load_model
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.recompute import recompute_layers
from nameplate.recipe import PRESETS, ComponentPolicy, PresetName, TrainSection, build_recipe
from nameplate.records import COMPONENTS

from .tiny_families import build, loss_of
from .tiny_model import write_tiny_model

FULL = ComponentPolicy(mode="full", lr=1e-3)
LAST = ComponentPolicy(mode="last", num_layers=1, lr=1e-3)
LORA = ComponentPolicy(mode="lora", rank=2, lr=1e-3)


def applied_to(model: PreTrainedModel, **policies: ComponentPolicy) -> AppliedPolicies:
    return apply_policies(model, {name: policies.get(name, ComponentPolicy()) for name in COMPONENTS})


def audited(model: PreTrainedModel, applied: AppliedPolicies, family: str) -> GradientAudit:
    model.train()
    optimizer = torch.optim.AdamW(parameter_groups(applied))
    return audit_gradients(model, applied, optimizer, lambda: loss_of(model, family))


def count_calls(modules: dict[str, nn.Module]) -> Counter[str]:
    """How often each module's own computation runs, recomputation included: counted at its first inner module."""
    calls: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., None]:
        return lambda *_: calls.update([name])

    for name, module in modules.items():
        next(module.children()).register_forward_hook(counting(name))
    return calls


def test_t1_last_layers_are_counted_by_each_stack_alone() -> None:
    """T1: the range came from the language model's depth, so a shallower vision tower silently trained nothing."""
    model = build("llama4")
    applied = applied_to(model, vision=LAST, language=LAST)
    layers = {name: part.layers for name, part in applied.components.items()}
    assert (len(layers["vision"]), len(layers["language"])) == (3, 4)
    for name in ("vision", "language"):
        assert all(each.requires_grad for each in layers[name][-1].parameters())
        assert not any(each.requires_grad for layer in layers[name][:-1] for each in layer.parameters())
    found = audited(model, applied, "llama4")
    assert found.learning["vision"] > 0
    assert found.learning["language"] > 0


@pytest.mark.parametrize("projector", [FULL, LORA], ids=["full", "lora"])
def test_t2_the_projector_learns_beside_adapters(projector: ComponentPolicy) -> None:
    """T2: with LoRA the flag that thaws the projector was ignored."""
    model = build("internvl")
    applied = applied_to(model, projector=projector, language=LORA)
    before = {name: each.detach().clone() for name, each in applied.components["projector"].parameters.items()}
    optimizer = torch.optim.AdamW(parameter_groups(applied))
    assert audited(model, applied, "internvl").learning["projector"] > 0
    for _ in range(2):
        loss_of(model, "internvl").backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {name for name, each in applied.components["projector"].parameters.items() if not each.equal(before[name])}
    assert moved == {name for name in before if projector is FULL or "lora_" in name}


def test_t3_an_unknown_family_is_refused_when_loaded(tmp_path: Path) -> None:
    """T3: for a model type that is not in the list, all freeze flags did nothing, without a word."""
    folder = write_tiny_model(tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "fuyu"}))
    with pytest.raises(ModelError, match=r"'fuyu', whose parts are not known; expected one of internvl, .*FAMILIES"):
        load_model(str(folder))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "internvl", "llama4"])
def test_t4_freezing_one_part_freezes_no_other(family: str) -> None:
    """T4: parts were found by substring: freezing "model" froze "vision_model" too, freezing the tower its merger."""
    for frozen in COMPONENTS:
        model = build(family)
        applied = applied_to(model, **{name: FULL for name in COMPONENTS if name != frozen})
        learning = {name for name, count in audited(model, applied, family).learning.items() if count}
        assert learning == set(COMPONENTS) - {frozen}
        for name, part in applied.components.items():
            assert all(each.requires_grad == (name != frozen) for each in part.parameters.values())


def test_t5_a_frozen_language_model_is_recomputed_where_gradients_pass() -> None:
    """T5: only layers that learn were checkpointed, so a frozen language model kept all its activations."""
    model = build("internvl")
    applied = applied_to(model, projector=FULL)
    assert recompute_layers(applied) == 3
    parts = applied.components
    layers = {f"{name}.{place}": layer for name in COMPONENTS for place, layer in enumerate(parts[name].layers)}
    calls = count_calls(layers)
    model.train()
    loss_of(model, "internvl").backward()
    assert calls == {name: 2 if name.startswith("language") else 1 for name in layers}


def test_t5_layers_before_the_first_that_learns_are_not_recomputed() -> None:
    """T5, the other way round: what no gradient reaches is computed once."""
    model = build("internvl")
    applied = applied_to(model, vision=LAST)
    assert recompute_layers(applied) == 1 + 3
    calls = count_calls({str(place): layer for place, layer in enumerate(applied.components["vision"].layers)})
    loss_of(model.train(), "internvl").backward()
    assert calls == {"0": 1, "1": 1, "2": 2}


def test_t6_a_frozen_tower_stays_in_eval_mode() -> None:
    """T6: the frozen tower was left in training mode, so its dropout made its features noise."""
    model = build("internvl")
    applied = applied_to(model, projector=FULL)
    model.train()
    model.model.train(True)
    for name in ("vision", "language"):
        assert not any(each.training for root in applied.components[name].roots.values() for each in root.modules())
    assert model.model.multi_modal_projector.training


@pytest.mark.parametrize("family", ["internvl", "qwen3_vl", "llava"])
def test_t6b_checkpointing_with_adapters_builds_no_graph_in_a_frozen_tower(family: str) -> None:
    """T6b: to checkpoint, libraries make embeddings' outputs ask for gradients, the frozen tower's patches too."""
    model = build(family)
    applied = applied_to(model, language=LORA)
    recompute_layers(applied)
    audited(model, applied, family)
    model.enable_input_require_grads()  # what PEFT and transformers call; ours does not
    seeing = applied.components["vision"].layers
    calls = count_calls({str(place): layer for place, layer in enumerate(seeing)})
    graphs: list[bool] = []
    seeing[-1].register_forward_hook(
        lambda _, __, output: graphs.append((output[0] if isinstance(output, tuple) else output).requires_grad)
    )
    loss_of(model.train(), family).backward()
    assert graphs == [False]
    assert set(calls.values()) == {1}


def test_t7_any_layers_may_be_chosen() -> None:
    """T7: only the first or last layers could be thawed."""
    model = build("internvl")
    middle = ComponentPolicy(mode="layers", layers=("0", "2"), lr=1e-3)
    applied = applied_to(model, language=middle)
    assert {name.split(".")[3] for name in applied.trainable()} == {"0", "2"}
    assert audited(model, applied, "internvl").learning["language"] == len(applied.trainable())


@pytest.mark.parametrize("preset", PRESETS)
def test_t8_every_way_to_train_states_what_learns(preset: PresetName) -> None:
    """T8: a rewritten engine had no freeze flags at all. Here no training is built without a policy per component."""
    model = build("internvl")
    section = TrainSection(preset=preset)
    applied = apply_policies(model, section.policies())
    learning = {name: count > 0 for name, count in audited(model, applied, "internvl").learning.items()}
    assert learning == {name: policy.mode != "frozen" for name, policy in section.policies().items()}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"freeze_vision_tower": True}, r"train\.freeze_vision_tower: unknown key"),
        ({part: {"mode": "frozen"} for part in COMPONENTS}, "a component that learns; every one is frozen"),
        (
            {"preset": "projector-only", "vision": {"mode": "full"}},
            "mode: frozen, as preset projector-only says",
        ),
    ],
    ids=["unknown flag", "all frozen", "contradiction"],
)
def test_t8_flags_that_would_do_nothing_are_refused(train: dict[str, object], message: str) -> None:
    """T8: what a recipe says of freezing either holds or is an error."""
    with pytest.raises(RecipeError, match=message):
        build_recipe({"table": {"source": "t.csv"}, "train": train}, where="recipe.yaml")
