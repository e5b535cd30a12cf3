"""What a recipe may say of training a model's parts, and what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from nameplate.errors import RecipeError
from nameplate.recipe import (
    PRESETS,
    LanguagePolicy,
    PresetName,
    Recipe,
    TrainSection,
    build_recipe,
    dump_recipe,
    load_recipe,
)


def recipe(**train: Any) -> Recipe:
    return build_recipe({"table": {"source": "t.csv"}, "train": train}, where="recipe.yaml")


def test_presets_are_those_that_are_named() -> None:
    assert tuple(PRESETS) == get_args(PresetName)


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_fills_what_is_not_stated_and_survives_a_round_trip(preset: PresetName) -> None:
    built = recipe(preset=preset, projector={"lr": 3e-3})
    assert built.train.projector.lr == 3e-3
    for part, policy in built.train.policies().items():
        assert policy.mode == PRESETS[preset][part]["mode"]
    assert build_recipe(yaml.safe_load(dump_recipe(built)), where="resolved") == built


def test_preset_given_last_is_refused_where_the_recipe_says_otherwise(tmp_path: Path) -> None:
    """An override that silently lost against the page below it would be a freeze flag that does nothing."""
    path = tmp_path / "recipe.yaml"
    path.write_text("table: {source: t.csv}\ntrain: {vision: {mode: full, lr: 1.0e-5}}\n")
    with pytest.raises(RecipeError, match=r"vision\.mode: frozen, as preset projector-only says, not full"):
        load_recipe(path, ["train.preset=projector-only"])
    assert load_recipe(path, ["train.preset=frozen-language"]).train.vision.lr == 1e-5


def test_default_policies_are_those_of_the_frozen_language_preset() -> None:
    plain, named = recipe().train, recipe(preset="frozen-language").train
    assert plain.policies() == named.policies()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"vision": {"mode": "frozen"}, "projector": {"mode": "frozen"}}, "every one is frozen"),
        ({"preset": "frozen"}, "'frozen-language', 'frozen-vision'"),
        ({"vision": {"mode": "last"}}, "num_layers goes with mode: last, and only there"),
        ({"vision": {"mode": "full", "num_layers": 2}}, "num_layers goes with mode: last, and only there"),
        ({"vision": {"mode": "layers"}}, "layers goes with mode: layers, and only there"),
        ({"vision": {"mode": "layers", "layers": []}}, "at least 1 item"),
        ({"vision": {"mode": "layers", "layers": ["3-1"]}}, "'3-1' runs backwards"),
        ({"vision": {"mode": "layers", "layers": ["-1"]}}, "'-1' is no layer and no range of layers such as 0-3"),
        ({"vision": {"mode": "full", "targets": ["qkv"]}}, "targets go with mode: lora"),
        ({"language": {"mode": "lora", "layer_decay": 0.9}}, "layer_decay goes with mode: full, last or layers"),
        ({"vision": {"mode": "full", "head": "full"}}, r"train\.vision\.head: unknown key"),
        ({"language": {"mode": "lora"}, "memory": {"quantise": "nf4"}}, "language model that is frozen"),
        ({"language": {"head": "full"}, "memory": {"quantise": "int8"}}, "language model that is frozen"),
        ({"memory": {"weights": "float16"}}, "'float32' or 'bfloat16'"),
    ],
)
def test_contradictions_are_refused_when_the_recipe_is_read(train: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(**train)


@pytest.mark.parametrize("part", ["vision", "projector"])
def test_a_part_of_which_only_the_rate_is_said_keeps_its_mode(part: str) -> None:
    """By omission it must not freeze: mode's own default is frozen."""
    section = TrainSection.model_validate({part: {"lr": 5e-4}})
    said, unsaid = section.policies()[part], TrainSection().policies()[part]
    assert (said.mode, said.lr) == ("full", 5e-4) and unsaid.mode == "full"
    assert TrainSection.model_validate({"language": {"head": "full"}}).language.mode == "frozen"


def test_head_alone_may_learn() -> None:
    frozen = {"mode": "frozen"}
    built = recipe(vision=frozen, projector=frozen, language={"mode": "frozen", "head": "full"})
    assert isinstance(built.train.language, LanguagePolicy)
    assert built.train.language.learns
