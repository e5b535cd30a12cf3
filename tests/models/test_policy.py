"""Which parameters there are, which learn, and that nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models.tiny_model import write_tiny_model
from torch import nn

from nameplate.errors import ModelError, TrainingError
from nameplate.models.adapters import adapted_modules
from nameplate.models.audit import audit_gradients
from nameplate.models.batches import collate, loss_sum
from nameplate.models.components import partition
from nameplate.models.groups import parameter_groups
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.parts import component_rows, row_sentence
from nameplate.models.policy import AppliedPolicies, Policies, apply_policies
from nameplate.recipe import ComponentPolicy, LanguagePolicy, MemorySection

FROZEN, FULL = ComponentPolicy(), ComponentPolicy(mode="full", lr=1e-3, weight_decay=0.1)
LORA = ComponentPolicy(mode="lora", rank=4, alpha=8, lr=2e-3, weight_decay=0.1)
LAST = ComponentPolicy(mode="last", num_layers=1)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"), tie=request.param)


@pytest.fixture
def loaded(base: Path) -> LoadedModel:
    return load_model(str(base))


def policies(
    vision: ComponentPolicy = FROZEN, projector: ComponentPolicy = FROZEN, language: ComponentPolicy = FROZEN
) -> Policies:
    return {"vision": vision, "projector": projector, "language": language}


def loss_of(loaded: LoadedModel) -> torch.Tensor:
    encoded = [
        loaded.processor.encode("Which brand is this product?", "Acme"),
        loaded.processor.encode("Describe this product in detail.", "a red mug by Acme on a white table"),
    ]
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return loss_sum(loaded.model, collate(encoded, loaded.processor.pad_id) | {"pixel_values": pixels})


def audit(loaded: LoadedModel, applied: AppliedPolicies, optimizer: torch.optim.Optimizer | None = None) -> None:
    held = optimizer or torch.optim.AdamW(parameter_groups(applied))
    audit_gradients(loaded.model, applied, held, lambda: loss_of(loaded))


def test_components_partition_the_parameters(loaded: LoadedModel) -> None:
    components = partition(loaded.model)
    assert list(components) == ["vision", "projector", "language"]
    owned = [id(parameter) for component in components.values() for parameter in component.parameters.values()]
    assert sorted(owned) == sorted(id(parameter) for parameter in loaded.model.parameters())
    assert {name.split(".")[1] for name in components["vision"].parameters} == {"vision_tower"}
    assert {name.split(".")[1] for name in components["projector"].parameters} == {"multi_modal_projector"}
    tied = bool(loaded.model.config.tie_word_embeddings)
    assert ("lm_head.weight" in components["language"].parameters) == (not tied)
    assert [len(component.layers) for component in components.values()] == [2, 0, 2]


def test_parameter_outside_every_component_is_refused(loaded: LoadedModel) -> None:
    loaded.model.register_parameter("stray", nn.Parameter(torch.zeros(1)))
    with pytest.raises(ModelError, match="parameter stray belongs to no component"):
        partition(loaded.model)


def test_parameter_of_two_components_is_refused(loaded: LoadedModel) -> None:
    parts = partition(loaded.model)
    tower, projector = (next(iter(parts[name].roots.values())) for name in ("vision", "projector"))
    tower.register_parameter("shared", next(projector.parameters()))
    with pytest.raises(ModelError, match="belongs to vision and to projector"):
        partition(loaded.model)


@pytest.mark.parametrize(
    ("chosen", "trained"),
    [
        (policies(vision=FULL), {"vision"}),
        (policies(projector=FULL), {"projector"}),
        (policies(language=FULL), {"language"}),
        (policies(vision=FULL, projector=FULL), {"vision", "projector"}),
        (policies(vision=LAST, language=LAST), {"vision", "language"}),
        (policies(projector=FULL, language=LORA), {"projector", "language"}),
        (policies(vision=LORA), {"vision"}),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else "",
)
def test_step_changes_exactly_what_should_learn(loaded: LoadedModel, chosen: Policies, trained: set[str]) -> None:
    applied = apply_policies(loaded.model, chosen)
    audit(loaded, applied)
    before = {name: parameter.detach().clone() for name, parameter in loaded.model.named_parameters()}
    optimizer = torch.optim.AdamW(parameter_groups(applied))
    loaded.model.train()
    for _ in range(2):  # an adapter's first factor moves only once its second has
        loss_of(loaded).backward()
        optimizer.step()
        optimizer.zero_grad()
    changed = {name for name, parameter in loaded.model.named_parameters() if not parameter.equal(before[name])}
    assert changed == set(applied.trainable())
    owners = {component.name for component in applied.components.values() if changed & set(component.parameters)}
    assert owners == trained


def test_frozen_parts_stay_in_eval_mode(loaded: LoadedModel) -> None:
    apply_policies(loaded.model, policies(projector=FULL, language=LAST))
    loaded.model.train()
    parts = partition(loaded.model)
    tower = next(iter(parts["vision"].roots.values()))
    assert not any(module.training for module in tower.modules())
    assert all(module.training for root in parts["projector"].roots.values() for module in root.modules())
    first, last = parts["language"].layers
    assert not first.training
    assert all(module.training for module in last.modules())


def test_last_layers_are_the_last(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(vision=LAST))
    assert applied.trainable()
    assert all(".encoder.layer.1." in name for name in applied.trainable())


def test_adapters_are_only_where_they_were_asked_for(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL, language=LORA))
    paths = [path for path, _ in adapted_modules(loaded.model)]
    assert len(paths) == 2 * 7
    assert all(path.startswith("model.language_model.layers.") for path in paths)
    rows = {row.component: row for row in component_rows(applied)}
    assert rows["language"].trainable == sum(
        parameter.numel() for name, parameter in applied.trainable().items() if "lora_" in name
    )
    assert (rows["language"].mode, rows["language"].lr, rows["language"].layers) == ("lora", 2e-3, 2)
    assert rows["projector"].trainable == rows["projector"].parameters
    assert (rows["vision"].trainable, rows["vision"].lr) == (0, None)
    plain = sum(row.parameters for row in rows.values())
    assert plain + rows["language"].trainable == sum(parameter.numel() for parameter in loaded.model.parameters())


def test_each_component_has_its_own_rank(loaded: LoadedModel) -> None:
    wide = ComponentPolicy(mode="lora", rank=6, alpha=6)
    apply_policies(loaded.model, policies(vision=wide, language=LORA))
    for path, module in adapted_modules(loaded.model):
        rank, scale = (6, 1.0) if "vision_tower" in path else (4, 2.0)
        assert (module.r["default"], module.scaling["default"]) == (rank, scale), path


def test_groups_have_their_rates_and_vectors_do_not_decay(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(vision=FULL, language=LORA))
    groups = {group["name"]: group for group in parameter_groups(applied)}
    assert set(groups) == {"vision.matrices", "vision.vectors", "language.matrices"}
    assert (groups["vision.matrices"]["lr"], groups["vision.matrices"]["weight_decay"]) == (1e-3, 0.1)
    assert (groups["vision.vectors"]["lr"], groups["vision.vectors"]["weight_decay"]) == (1e-3, 0.0)
    assert groups["language.matrices"]["lr"] == 2e-3
    assert all(parameter.ndim == 1 for parameter in groups["vision.vectors"]["params"])


def test_frozen_weights_may_be_stored_shorter_and_learning_ones_are_float32(base: Path) -> None:
    loaded = load_model(str(base), dtype=torch.bfloat16)
    applied = apply_policies(loaded.model, policies(projector=FULL), frozen_dtype=torch.bfloat16)
    learning = {id(parameter) for parameter in applied.trainable().values()}
    for name, parameter in loaded.model.named_parameters():
        assert parameter.dtype == (torch.float32 if id(parameter) in learning else torch.bfloat16), name


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (policies(), "train: every component is frozen"),
        (policies(projector=LAST), r"train\.projector\.mode: last, but it has no layers"),
        (
            policies(vision=ComponentPolicy(mode="last", num_layers=9)),
            r"train\.vision\.num_layers: 9; expected at most 2",
        ),
        (
            policies(language=LanguagePolicy(mode="layers", layers=("0", "1-2"))),
            r"train\.language\.layers: 1-2; expected its layers, which are 0-1",
        ),
        (
            policies(language=ComponentPolicy(mode="lora", targets=("q_proj", "query"))),
            r"train\.language\.targets: query; expected names of linear modules: down_proj, .*q_proj",
        ),
        (
            policies(projector=ComponentPolicy(mode="full", layer_decay=0.5)),
            r"train\.projector\.layer_decay: it has no layers",
        ),
    ],
)
def test_policy_that_does_not_fit_is_refused(loaded: LoadedModel, chosen: Policies, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        apply_policies(loaded.model, chosen)


def test_adapters_on_the_projector_learn(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=LORA))
    assert {path.rpartition(".")[2] for path, _ in adapted_modules(loaded.model)} == {"linear_1", "linear_2"}
    audit(loaded, applied)


def test_adapters_are_on_the_targets_alone(loaded: LoadedModel) -> None:
    some = ComponentPolicy(mode="lora", rank=2, targets=("q_proj", "v_proj"))
    apply_policies(loaded.model, policies(language=some))
    assert {path.rpartition(".")[2] for path, _ in adapted_modules(loaded.model)} == {"q_proj", "v_proj"}


@pytest.mark.parametrize("mode", ["frozen", "full", "last"])
@pytest.mark.parametrize("embeddings", ["by_mode", "frozen", "full"])
@pytest.mark.parametrize("head", ["by_mode", "frozen", "full"])
def test_embeddings_and_head_do_what_is_stated(loaded: LoadedModel, mode: str, embeddings: str, head: str) -> None:
    policy = LanguagePolicy.model_validate(
        {"mode": mode, "num_layers": 1 if mode == "last" else None, "embeddings": embeddings, "head": head}
    )
    wanted = {end: stated == "full" or (stated == "by_mode" and mode == "full") for end, stated in
              (("embeddings", embeddings), ("head", head))}  # fmt: skip
    tied = bool(loaded.model.config.tie_word_embeddings)
    if tied and wanted["embeddings"] != wanted["head"]:
        with pytest.raises(ModelError, match="in this model they are one matrix; state both alike"):
            apply_policies(loaded.model, policies(projector=FULL, language=policy))
        return
    learning = apply_policies(loaded.model, policies(projector=FULL, language=policy)).trainable()
    assert ("model.language_model.embed_tokens.weight" in learning) == wanted["embeddings"]
    assert ("lm_head.weight" in learning) == (wanted["head"] and not tied)
    assert ("model.language_model.layers.1.mlp.up_proj.weight" in learning) == (mode != "frozen")
    assert ("model.language_model.layers.0.mlp.up_proj.weight" in learning) == (mode == "full")


def test_rates_fall_from_layer_to_layer(loaded: LoadedModel) -> None:
    falling = ComponentPolicy(mode="full", lr=1e-2, layer_decay=0.5, weight_decay=0.1)
    applied = apply_policies(loaded.model, policies(vision=falling, projector=FULL))
    rate_of = {id(parameter): group["lr"] for group in parameter_groups(applied) for parameter in group["params"]}
    for name, parameter in applied.components["vision"].parameters.items():
        halvings = 3 if ".embeddings." in name else 2 if ".layer.0." in name else 1 if ".layer.1." in name else 0
        assert rate_of[id(parameter)] == 1e-2 / 2**halvings, name
    row = component_rows(applied)[0]
    assert (row.lowest_lr, row.lr) == (1e-2 / 8, 1e-2 / 2)
    assert "at 0.0013 to 0.005" in row_sentence(row)
    audit(loaded, applied)


def test_what_learns_may_be_bfloat16(base: Path) -> None:
    loaded = load_model(str(base), dtype=torch.bfloat16)
    short = MemorySection(weights="bfloat16")
    applied = apply_policies(
        loaded.model, policies(projector=FULL, language=LORA), frozen_dtype=torch.bfloat16, memory=short
    )
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    audit(loaded, applied)
    assert [row.dtype for row in component_rows(applied)] == ["bfloat16"] * 3


def test_table_says_what_embeddings_and_head_do(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL, language=LORA))
    row = component_rows(applied)[2]
    assert (row.rank, row.dtype, row.ends, row.idle) == (4, "float32", "embeddings frozen, head frozen", 0)
    assert row_sentence(row).startswith(
        f"language: lora, {row.trainable:,} of {row.parameters:,} parameters learn, at 0.002"
    )


def test_audit_finds_a_graph_behind_a_frozen_tower(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL))
    tower = applied.untouched["model.vision_tower"]
    del tower.forward  # the wrapper that keeps it without a graph
    loaded.model.enable_input_require_grads()  # as PEFT and transformers do for checkpointing
    with pytest.raises(ModelError, match=r"model\.vision_tower: frozen, .* its output carries a graph"):
        audit(loaded, applied)


def test_audit_says_what_it_saw(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL))
    found = audit_gradients(
        loaded.model, applied, torch.optim.AdamW(parameter_groups(applied)), lambda: loss_of(loaded)
    )
    assert found.learning == {"vision": 0, "projector": 6, "language": 0}
    assert found.norms["projector"] > 0
    assert found.frozen == sum(1 for parameter in loaded.model.parameters() if not parameter.requires_grad)
    assert found.without_graph == 1
    assert "projector 6 tensors" in found.sentence()
    assert all(parameter.grad is None for parameter in loaded.model.parameters())


def test_audit_finds_a_parameter_without_gradient(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(vision=FULL, projector=FULL))
    tower = next(iter(applied.components["vision"].roots.values()))
    tower.register_forward_hook(lambda _, __, output: setattr(output, "last_hidden_state", output[0].detach()))
    with pytest.raises(ModelError, match=r"vision_tower.* should learn, but gets no gradient"):
        audit(loaded, applied)


def test_audit_finds_a_frozen_parameter_with_gradient(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL))
    frozen = next(iter(applied.components["vision"].parameters.values()))

    def loss() -> torch.Tensor:
        frozen.grad = torch.zeros_like(frozen)
        return loss_of(loaded)

    with pytest.raises(ModelError, match="frozen, but it gets a gradient"):
        audit_gradients(loaded.model, applied, torch.optim.AdamW(parameter_groups(applied)), loss)


def test_audit_finds_an_optimizer_that_holds_too_little_or_too_much(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL))
    some = list(applied.trainable().values())[1:]
    with pytest.raises(ModelError, match="the optimizer holds it 0 times"):
        audit(loaded, applied, torch.optim.AdamW(some))
    with pytest.raises(ModelError, match="optimizer: holds parameters that should not learn"):
        audit(loaded, applied, torch.optim.AdamW(loaded.model.parameters()))


def test_audit_finds_numbers_that_are_none(loaded: LoadedModel) -> None:
    applied = apply_policies(loaded.model, policies(projector=FULL))
    with torch.no_grad():
        next(iter(applied.trainable().values())).fill_(float("nan"))
    with pytest.raises(TrainingError, match="the loss of the first batch is nan"):
        audit(loaded, applied)
