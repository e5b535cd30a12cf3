"""How it learns: what its page says is a recipe, and what cannot be trained is refused before anything is read."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from nameplate.errors import RecipeError
from nameplate.recipe import build_recipe, check_choices

PAGE = Path(__file__).parents[1] / "docs" / "training.md"


def test_the_recipe_on_the_page_is_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    recipe = build_recipe({"table": {"source": "feed.csv"}} | yaml.safe_load(block), where="the page")
    check_choices(recipe, until="report")
    assert recipe.train.keep == "best_and_last"
    assert recipe.train.examples.augment == "off"  # a bare off, which YAML reads as no


@pytest.mark.parametrize(
    "change", ["train.optimizer.name=adamw_8bit", "train.memory.quantise=int8"], ids=["8-bit moments", "8-bit weights"]
)
def test_what_needs_a_library_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    recipe = build_recipe({"table": {"source": "feed.csv"}}, where="r", overrides=[change])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    check_choices(recipe, until="split")
    with pytest.raises(RecipeError, match=r"bitsandbytes is not installed; pip install 'nameplate\[quantise\]'"):
        check_choices(recipe, until="train")


@pytest.mark.parametrize("caption", [{"source": "table"}, {"template": "brand_first"}])
def test_pairs_that_nobody_writes_are_refused(caption: dict[str, str]) -> None:
    tree = {"table": {"source": "feed.csv", "text": "text"}, "caption": caption}
    recipe = build_recipe(tree, where="r", overrides=["train.examples.question_answer_share=0.2"])
    with pytest.raises(RecipeError, match=r"question_answer_share: 0\.2.*caption.template: question_answer"):
        check_choices(recipe, until="train")


@pytest.mark.parametrize(
    ("train", "left"),
    [
        ({"epochs": 4, "checkpoint_every_epochs": 2}, "2 checkpoints"),
        ({"epochs": 2, "checkpoint_every_epochs": 5}, "1 checkpoint"),
        ({"epochs": 4, "checkpoint_every_epochs": 1, "keep": "best_and_last"}, "2 checkpoints"),
    ],
)
def test_an_average_of_more_checkpoints_than_training_leaves_is_refused(train: dict[str, object], left: str) -> None:
    tree = {"table": {"source": "feed.csv"}, "train": train, "score": {"average_last": 3}}
    recipe = build_recipe(tree, where="r")
    check_choices(recipe, until="train")
    with pytest.raises(RecipeError, match=rf"score\.average_last: 3: training leaves {left}; lower it"):
        check_choices(recipe, until="score")


def test_the_last_epoch_has_a_checkpoint_to_average_too() -> None:
    tree = {"table": {"source": "feed.csv"}, "train": {"epochs": 5, "checkpoint_every_epochs": 2}}
    check_choices(build_recipe(tree | {"score": {"average_last": 3}}, where="r"), until="report")
