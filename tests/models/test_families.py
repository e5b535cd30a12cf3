"""Freezing, proved in three ways over many families: partition, truth table, and what ten steps have moved."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
import transformers as hf
from transformers import PreTrainedModel

from nameplate.errors import ModelError
from nameplate.models.audit import audit_gradients
from nameplate.models.components import partition
from nameplate.models.families import FAMILIES, check_family
from nameplate.models.groups import parameter_groups
from nameplate.models.policy import AppliedPolicies, apply_policies
from nameplate.models.recompute import recompute_layers
from nameplate.recipe import ComponentPolicy, LanguagePolicy
from nameplate.records import COMPONENTS, ComponentName

from .tiny_families import TINY_FAMILIES, build, loss_of

CHOICES = list(itertools.product([False, True], repeat=3))
THOROUGH = ("internvl", "llava", "llava_next", "qwen2_5_vl", "qwen3_vl", "mistral3", "idefics3", "llama4", "blip-2")
FULL = ComponentPolicy(mode="full", lr=1e-3, weight_decay=0.1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def models() -> dict[str, PreTrainedModel]:
    """Each family once; tests take copies."""
    return {name: build(name) for name in TINY_FAMILIES}


def meta_model(family: str) -> PreTrainedModel:
    """The family at its default size, without weights."""
    config = hf.AutoConfig.for_model(family)
    if family == "gemma4":
        config = hf.Gemma4Config(vision_config=hf.Gemma4VisionConfig())
    with torch.device("meta"):
        model: PreTrainedModel = hf.AutoModelForImageTextToText.from_config(config)
    return model


def step(model: PreTrainedModel, family: str, optimizer: torch.optim.Optimizer) -> None:
    model.train()
    loss_of(model, family).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_components_are_an_exact_partition(family: str, models: dict[str, PreTrainedModel]) -> None:
    model = models[family] if family in models else meta_model(family)
    parts = partition(model)
    assert list(parts) == list(COMPONENTS)
    owned = [id(parameter) for part in parts.values() for parameter in part.parameters.values()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(parameter) for parameter in model.parameters()}
    assert all(part.parameters for part in parts.values())
    in_layers = {id(each) for part in parts.values() for layer in part.layers for each in layer.parameters()}
    assert in_layers <= set(owned)
    assert parts["vision"].layers
    assert parts["language"].layers
    assert parts["language"].embeddings
    assert parts["language"].head
    in_roots = [id(each) for part in parts.values() for root in part.roots.values() for each in root.parameters()]
    lone = {id(each) for name, each in model.named_parameters() if id(each) not in set(in_roots)}
    assert set(in_roots) | lone == set(owned)


PROJECTORS = {
    "internvl": "model.multi_modal_projector",
    "llava_next": "model.image_newline model.multi_modal_projector",
    "qwen2_vl": "model.visual.merger",
    "qwen2_5_vl": "model.visual.merger",
    "qwen3_vl": "model.visual.deepstack_merger_list model.visual.merger",
    "glm4v": "model.visual.downsample model.visual.merger",
    "paligemma": "model.multi_modal_projector",
    "idefics3": "model.connector",
    "deepseek_vl": "model.aligner",
    "blip-2": "language_projection qformer query_tokens",
    "ovis2": "model.visual_embeddings_table",
    "llama4": "multi_modal_projector vision_model.vision_adapter",
    "mllama": "model.multi_modal_projector",
}
"""Where the projector is, read off each family's code: what a partition alone cannot tell from another."""


@pytest.mark.parametrize("family", PROJECTORS)
def test_projector_is_where_the_family_has_it(family: str, models: dict[str, PreTrainedModel]) -> None:
    part = partition(models[family])["projector"]
    inside = [id(each) for root in part.roots.values() for each in root.parameters()]
    lone = [name for name, each in part.parameters.items() if id(each) not in inside]
    assert " ".join(sorted([*part.roots, *lone])) == PROJECTORS[family]


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_idle_is_exactly_what_gets_no_gradient(family: str, models: dict[str, PreTrainedModel]) -> None:
    """The registry says by name what takes no part; a real backward pass is the oracle."""
    model = copy.deepcopy(models[family])
    loss_of(model, family).backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {name for part in partition(model).values() for name in part.idle}


def test_unknown_family_is_refused_with_the_way_to_add_it() -> None:
    with pytest.raises(ModelError, match=r"some\.json: .*'fuyu', whose parts are not known.*families\.py"):
        check_family("fuyu", where="some.json")


def test_a_family_that_is_built_otherwise_is_refused(models: dict[str, PreTrainedModel]) -> None:
    model = copy.deepcopy(models["idefics3"])
    model.model.joint = model.model.connector
    del model.model.connector
    with pytest.raises(ModelError, match="it has no connector, where its family keeps a part"):
        partition(model)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "".join("TF"[not each] for each in choice))
@pytest.mark.parametrize("family", THOROUGH)
def test_truth_table_of_freezing(family: str, choice: tuple[bool, ...], models: dict[str, PreTrainedModel]) -> None:
    """All eight choices: the audit passes on a real batch; what learns is whole components less their idle parts."""
    model = copy.deepcopy(models[family])
    chosen = dict(zip(COMPONENTS, choice, strict=True))
    policies = {name: FULL if learns else ComponentPolicy() for name, learns in chosen.items()}
    if not any(choice):
        with pytest.raises(ModelError, match="every component is frozen"):
            apply_policies(model, policies)
        return
    applied = apply_policies(model, policies)
    for name, part in applied.components.items():
        learning = {each for each, parameter in part.parameters.items() if parameter.requires_grad}
        assert learning == (set(part.parameters) - part.idle if chosen[name] else set())
    model.train()
    found = audit_gradients(
        model, applied, torch.optim.AdamW(parameter_groups(applied)), lambda: loss_of(model, family)
    )
    assert {name: count > 0 for name, count in found.learning.items()} == chosen
    assert sum(found.learning.values()) == len(applied.trainable())
    assert (found.without_graph > 0) == (not chosen["vision"])
    for part in applied.components.values():
        if not chosen[part.name]:
            assert not any(module.training for root in part.roots.values() for module in root.modules())


LORA = ComponentPolicy(mode="lora", rank=2, alpha=4, lr=1e-2)
TEN_STEPS: dict[str, dict[ComponentName, ComponentPolicy]] = {
    "full": {"vision": FULL, "projector": FULL, "language": ComponentPolicy()},
    "lora": {"vision": ComponentPolicy(), "projector": FULL, "language": LORA},
    "adapters everywhere": {"vision": LORA, "projector": LORA, "language": LORA},
    "last and ranges": {
        "vision": ComponentPolicy(mode="last", num_layers=1, lr=1e-3),
        "projector": ComponentPolicy(),
        "language": LanguagePolicy(mode="layers", layers=("0", "2"), lr=1e-3, head="full"),
    },
}


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("mode", TEN_STEPS)
@pytest.mark.parametrize("family", ["internvl", "llava_next", "qwen2_5_vl", "qwen3_vl", "mistral3", "idefics3"])
def test_after_ten_steps_only_what_should_has_moved(
    family: str, mode: str, recompute: bool, models: dict[str, PreTrainedModel]
) -> None:
    model = copy.deepcopy(models[family])
    torch.manual_seed(0)
    applied = apply_policies(model, TEN_STEPS[mode])
    if recompute:
        assert recompute_layers(applied) > 0
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(parameter_groups(applied))
    for _ in range(10):
        step(model, family, optimizer)
    moved = {name for name, parameter in model.named_parameters() if not parameter.equal(before[name])}
    assert moved == set(applied.trainable())
    owners = {name for name, part in applied.components.items() if moved & set(part.parameters)}
    assert owners == {name for name, policy in TEN_STEPS[mode].items() if policy.learns}


@pytest.mark.parametrize("family", ["internvl", "qwen3_vl", "mllama", "lfm2_vl"])
def test_recomputing_changes_no_gradient(family: str, models: dict[str, PreTrainedModel]) -> None:
    """Measured worst relative difference 0.0 in float32."""
    gradients = []
    for recompute in (False, True):
        model = copy.deepcopy(models[family])
        applied = apply_policies(model, {"vision": FULL, "projector": FULL, "language": ComponentPolicy()})
        if recompute:
            recompute_layers(applied)
        model.train()
        loss_of(model, family).backward()
        gradients.append({name: parameter.grad for name, parameter in applied.trainable().items()})
    for name, kept in gradients[0].items():
        again = gradients[1][name]
        assert kept is not None and again is not None
        torch.testing.assert_close(again, kept, rtol=1e-6, atol=1e-8)


def applied_to(model: PreTrainedModel, **policies: ComponentPolicy) -> AppliedPolicies:
    return apply_policies(model, {name: policies.get(name, ComponentPolicy()) for name in COMPONENTS})


def test_layers_are_counted_by_each_stack(models: dict[str, PreTrainedModel]) -> None:
    """LLaVA reads its tower one layer before the end: the last layer that takes part is the last."""
    model = copy.deepcopy(models["llava"])
    applied = applied_to(model, vision=ComponentPolicy(mode="last", num_layers=1))
    assert {name.split(".")[4] for name in applied.trainable()} == {"1"}
    applied = applied_to(copy.deepcopy(models["mllama"]), vision=ComponentPolicy(mode="layers", layers=("2-3",)))
    assert {".".join(name.split(".")[2:5]) for name in applied.trainable()} == {
        "transformer.layers.2",
        "global_transformer.layers.0",
    }
