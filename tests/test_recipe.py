"""Recipes: what is read is what was meant, and what was not meant is refused with the place and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nameplate.errors import RecipeError
from nameplate.recipe import Recipe, Section, build_recipe, dump_recipe, load_recipe


def write(path: Path, tree: object) -> Path:
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    recipe = write(tmp_path / "r.yaml", {"table": {"source": "t.csv"}, "train": {"epoch": 3}})
    with pytest.raises(RecipeError, match=r"train\.epoch: unknown key.*did you mean 'epochs'"):
        load_recipe(recipe)


def test_a_missing_section_and_a_bad_value_name_their_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="table: missing"):
        load_recipe(write(tmp_path / "a.yaml", {"train": {}}))
    with pytest.raises(RecipeError, match=r"train\.epochs: 0 is not accepted"):
        load_recipe(write(tmp_path / "b.yaml", {"table": {"source": "t.csv"}, "train": {"epochs": 0}}))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "table: [unclosed", "\t: x"])
def test_a_file_that_is_no_mapping_is_one_paragraph(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


def test_a_recipe_extends_another_and_overrides_win(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", {"table": {"source": "t.csv"}, "train": {"epochs": 3, "seed": 1}})
    top = write(tmp_path / "top.yaml", {"extends": "base.yaml", "train": {"epochs": 4}})
    recipe = load_recipe(top, ["train.seed=7", "score.prompts=[name]"])
    assert (recipe.train.epochs, recipe.train.seed, recipe.score.prompts) == (4, 7, ("name",))


def test_a_circle_of_extends_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", {"extends": "b.yaml"})
    write(tmp_path / "b.yaml", {"extends": "a.yaml"})
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize("override", ["train.epochs", "=3", "table.source.deep=3"])
def test_a_malformed_override_is_refused(tmp_path: Path, override: str) -> None:
    recipe = write(tmp_path / "r.yaml", {"table": {"source": "t.csv"}})
    with pytest.raises(RecipeError, match="--set"):
        load_recipe(recipe, [override])


def test_the_folder_of_unnamed_images_starts_at_the_recipe_too(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("table: {source: feed.csv}\nscore: {guards: {unnamed: plain}}\n", encoding="utf-8")
    assert load_recipe(path).score.guards.unnamed == str(tmp_path / "plain")


def test_relative_paths_start_at_the_recipe_and_hub_names_stay(tmp_path: Path) -> None:
    recipe = load_recipe(
        write(tmp_path / "r.yaml", {"table": {"source": "t.csv"}, "store": "kept", "model": {"base": "OWNER/NAME"}})
    )
    assert recipe.table.source == str(tmp_path / "t.csv")
    assert recipe.store == str(tmp_path / "kept")
    assert recipe.model.base == "OWNER/NAME"


def test_last_layers_need_their_number() -> None:
    with pytest.raises(RecipeError, match="expected num_layers goes with mode: last"):
        build_recipe({"table": {"source": "t"}, "train": {"vision": {"mode": "last"}}}, where="r")


def test_a_dumped_recipe_reads_back_equal() -> None:
    recipe = build_recipe({"table": {"source": "/t.csv"}, "train": {"epochs": 2}}, where="r")
    assert build_recipe(yaml.safe_load(dump_recipe(recipe)), where="r") == recipe


def test_sections_stay_small_and_every_field_is_explained() -> None:
    for name, field in Recipe.model_fields.items():
        section = field.annotation
        assert field.description, name
        if isinstance(section, type) and issubclass(section, Section):
            assert len(section.model_fields) <= 12, name
            assert all(inner.description for inner in section.model_fields.values()), name
