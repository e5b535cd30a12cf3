"""A member's overrides on a recipe: what it says of a component is what it gets, whatever the recipe said before."""

from __future__ import annotations

from typing import Any

import pytest

from nameplate.recipe import Recipe, build_recipe
from nameplate.sweep.overrides import nested, with_overrides

TREE = {"table": {"source": "t.csv"}}


def built(train: dict[str, Any], overrides: dict[str, Any]) -> Recipe:
    return build_recipe(with_overrides({**TREE, "train": train}, overrides), where="member")


def test_fields_with_dots_are_sections() -> None:
    assert nested({"train.vision.lr": 1, "train": {"vision.mode": "full"}}) == {
        "train": {"vision": {"lr": 1, "mode": "full"}}
    }


@pytest.mark.parametrize(
    ("word", "mode", "num_layers"),
    [("frozen", "frozen", None), ("full", "full", None), ("lora", "lora", None), ("last-3", "last", 3)],
)
def test_a_word_stands_for_a_policy(word: str, mode: str, num_layers: int | None) -> None:
    policy = built({"language": {"mode": "frozen"}}, {"train.language": word}).train.language
    assert (policy.mode, policy.num_layers) == (mode, num_layers)


def test_a_word_that_is_no_policy_is_left_for_the_recipe_to_refuse() -> None:
    assert with_overrides({"train": {}}, {"train.vision": "thawed"})["train"]["vision"] == "thawed"


@pytest.mark.parametrize("mode", ["frozen", "full", "lora"])
@pytest.mark.parametrize(
    "before",
    [
        {"mode": "last", "num_layers": 2, "lr": 3e-4},
        {"mode": "layers", "layers": ["0-1"], "lr": 3e-4},
        {"mode": "lora", "targets": ["q_proj"], "lr": 3e-4},
        {"mode": "full", "layer_decay": 0.5, "lr": 3e-4},
    ],
)
def test_a_stated_mode_takes_the_fields_of_another_away_and_leaves_the_rate(before: dict[str, Any], mode: str) -> None:
    vision = built({"vision": before}, {"train.vision": {"mode": mode}}).train.vision
    assert vision.mode == mode
    assert vision.lr == 3e-4
    if before["mode"] != mode:
        assert vision.num_layers is vision.layers is vision.targets is None
        assert vision.layer_decay == 1


def test_a_stated_preset_takes_the_place_of_the_recipes_policies() -> None:
    train = built({"vision": {"mode": "full"}, "epochs": 3}, {"train.preset": "projector-only"}).train
    assert [policy.mode for policy in train.policies().values()] == ["frozen", "full", "frozen"]
    assert train.epochs == 3


def test_a_stated_mode_wins_over_the_recipes_preset_which_still_fills_the_others() -> None:
    train = built({"preset": "recommended"}, {"train.vision": "frozen"}).train
    assert train.vision.mode == "frozen"
    assert train.vision.layer_decay == 1
    assert (train.language.mode, train.language.rank) == ("lora", 64)


def test_a_rate_alone_changes_nothing_else() -> None:
    train = built({"preset": "recommended"}, {"train.language.lr": 5e-4}).train
    assert (train.preset, train.language.lr, train.language.rank) == ("recommended", 5e-4, 64)


def test_a_rate_alone_keeps_the_policy_that_a_recipe_has_by_saying_nothing() -> None:
    train = built({}, {"train.projector.lr": 5e-4, "train.language.rank": 4}).train
    assert (train.projector.mode, train.projector.lr, train.vision.mode) == ("full", 5e-4, "full")
    assert build_recipe(with_overrides(TREE, {"train.vision.lr": 1e-3}), where="m").train.vision.mode == "full"


def test_the_recipes_tree_is_left_as_it_was() -> None:
    tree = {**TREE, "train": {"vision": {"mode": "last", "num_layers": 2}}}
    with_overrides(tree, {"train.vision": "full"})
    assert tree["train"] == {"vision": {"mode": "last", "num_layers": 2}}
