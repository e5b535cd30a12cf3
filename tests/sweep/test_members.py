"""From a sweep's page to its members, and everything that is refused before any work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.models.tiny_model import write_tiny_model

from nameplate.errors import RecipeError
from nameplate.sweep.checks import check_members
from nameplate.sweep.members import SweepPlan, plan_sweep

RECIPE = {"table": {"source": "t.csv", "preset": "dbq"}, "model": {"base": "model"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return tmp_path


def plan(folder: Path, page: dict[str, Any], **options: Any) -> SweepPlan:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"recipe": "recipe.yaml", **page}, sort_keys=False), encoding="utf-8")
    return plan_sweep(path, **options)


def test_members_keep_their_order_and_the_first_is_the_reference(folder: Path) -> None:
    planned = plan(folder, {"members": {"b": {"train.language": "lora"}, "a": {"train.vision": "frozen"}}})
    assert list(planned.changes) == ["b", "a"]
    assert planned.reference == "b"
    assert [trial.key for trial in planned.trials] == ["b-seed-0", "a-seed-0"]
    assert planned.trials[0].recipe.train.language.mode == "lora"
    assert planned.trials[1].recipe.train.language.mode == "frozen"
    assert planned.trials[0].recipe.report.title == "Freeze sweep: b"


def test_a_matrix_is_every_combination_less_what_is_left_out(folder: Path) -> None:
    matrix = {
        "axes": {
            "train.vision": ["frozen", "last-2", "full"],
            "train.language": {"frozen": "frozen", "small": {"mode": "lora", "rank": 4}},
            "train.projector.lr": [1.0e-3, 1.0e-4],
        },
        "except": [
            {"train.vision": "full", "train.language": "small"},
            {"train.vision": ["last-2"], "train.projector.lr": 1.0e-4},
        ],
    }
    planned = plan(folder, {"matrix": matrix, "members": {"named": {"train.epochs": 2}}})
    assert list(planned.changes) == [
        "named",
        "vision=frozen,language=frozen,projector.lr=0.001",
        "vision=frozen,language=frozen,projector.lr=0.0001",
        "vision=frozen,language=small,projector.lr=0.001",
        "vision=frozen,language=small,projector.lr=0.0001",
        "vision=last-2,language=frozen,projector.lr=0.001",
        "vision=last-2,language=small,projector.lr=0.001",
        "vision=full,language=frozen,projector.lr=0.001",
        "vision=full,language=frozen,projector.lr=0.0001",
    ]
    (trial,) = planned.of("vision=last-2,language=small,projector.lr=0.001")
    train = trial.recipe.train
    assert (train.vision.num_layers, train.language.rank, train.projector.lr) == (2, 4, 1e-3)


def test_seeds_train_every_member_again_and_the_command_line_is_on_top(folder: Path) -> None:
    page = {"members": {"a": {"train.epochs": 3}, "b": {"train.vision": "frozen"}}, "seeds": [4, 5]}
    planned = plan(folder, page, overrides=["train.epochs=7"])
    assert [trial.key for trial in planned.trials] == ["a-seed-4", "b-seed-4", "a-seed-5", "b-seed-5"]
    assert {trial.recipe.train.epochs for trial in planned.trials} == {7}
    assert [trial.recipe.train.seed for trial in plan(folder, page, seeds=[9]).trials] == [9, 9]


def test_shared_overrides_and_local_paths_start_at_the_page(folder: Path, tmp_path: Path) -> None:
    page = {"shared": {"store": "kept"}, "members": {"a": {"table.source": "other.csv"}, "b": {"train.epochs": 1}}}
    one, other = plan(folder, page).trials
    assert one.recipe.store == other.recipe.store == str(tmp_path / "kept")
    assert one.recipe.table.source == str(tmp_path / "other.csv")
    assert other.recipe.table.source == str(tmp_path / "t.csv")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"members": {}}, "members, or a matrix"),
    ({"memebrs": {"a": {}}}, r"memebrs: unknown key; .* did you mean 'members'"),
    ({"matrix": {"axes": {"train.vision": ["full"]}, "excpet": []}}, "matrix.excpet: unknown key; .* 'except'"),
    ({"matrix": {"axes": {}}}, "matrix.axes"),
    ({"matrix": {"axes": {"train.vision": []}}}, "matrix.axes.train.vision"),
    ({"members": {"a": {}}, "seeds": [1, 1]}, "seeds that are all different"),
    ({"members": {"a": {}}, "reference": "b"}, "'b'; expected a member; there are a"),
    ({"members": {"language": {}}, "reference": "langauge"}, "did you mean 'language'"),
    ({"members": {"a/b": {}}}, "not a name for a folder"),
    ({"members": {"a": {"train.visoin.lr": 1}}}, r"member a: train.visoin: unknown key.*did you mean 'vision'"),
    ({"members": {"a": {"train.vision": "thawed"}}}, r"\"thawed\" is not accepted"),
    ({"members": {"a": {}, "b": {"train.epochs": 20}}}, "members a and b are the same"),
    ({"members": {"a": {"train.seed": 1}}, "seeds": [0]}, "it sets train.seed, and so does 'seeds'"),
    ({"members": {"x": {}, "vision=full": {}}, "matrix": {"axes": {"train.vision": ["full"]}}}, "has this name, too"),
    ({"matrix": {"axes": {"train.vision": ["full"]}, "except": [{"train.vsion": "full"}]}}, "did you mean 'train.v"),
    ({"matrix": {"axes": {"train.vision": ["full"]}, "except": [{"train.vision": "ful"}]}}, "did you mean 'full'"),
    ({"matrix": {"axes": {"train.vision": ["full"]}, "except": [{}]}}, "would leave everything out"),
    ({"matrix": {"axes": {"train.vision": ["full"]}, "except": [{"train.vision": "full"}]}}, "no combination is left"),
]


@pytest.mark.parametrize(("page", "message"), BAD)
def test_a_page_that_cannot_be_is_refused_with_its_place(folder: Path, page: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(folder, page)


def test_a_missing_page_or_recipe_is_said(folder: Path) -> None:
    with pytest.raises(RecipeError, match="no such sweep"):
        plan_sweep(folder / "none.yaml")
    with pytest.raises(RecipeError, match="no such recipe"):
        plan(folder, {"recipe": "none.yaml", "members": {"a": {}}})


def test_the_page_in_the_docs_is_accepted(folder: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "sweep.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", docs, flags=re.MULTILINE | re.DOTALL)
    planned = plan(folder, yaml.safe_load(block))
    assert len(planned.changes) == 2 + (2 * 3 - 1) * 2
    assert len(planned.trials) == 2 * len(planned.changes)
    assert {trial.recipe.train.epochs for trial in planned.trials} == {4}
    assert planned.of("language-lora")[0].recipe.train.language.rank == 32


def test_all_impossible_members_are_said_at_once(folder: Path) -> None:
    frozen = {"train": {"vision": "frozen", "projector": "frozen", "language": "frozen"}}
    page = {"members": {"good": {}, "dead": frozen, "negative": {"train.vision.lr": -1}}}
    with pytest.raises(
        RecipeError, match=r"2 of 3 members cannot be run: member dead: .*every one is frozen; member negative: "
    ):
        plan(folder, page)


def test_what_only_the_model_can_refuse_is_refused_before_any_work(folder: Path) -> None:
    write_tiny_model(folder / "model")
    page = {"members": {"good": {}, "deep": {"train.vision": "last-9"}, "head": {"train.language.head": "full"}}}
    planned = plan(folder, page)
    with pytest.raises(RecipeError) as caught:
        check_members(planned)
    assert "2 of 3 members cannot be run" in str(caught.value)
    assert "member deep: train.vision.num_layers: 9; expected at most 2" in str(caught.value)
    assert "member head: train.language" in str(caught.value)
    assert "one matrix" in str(caught.value)


def test_what_learns_is_counted_without_reading_weights(folder: Path) -> None:
    write_tiny_model(folder / "model")
    (folder / "model" / "model.safetensors").touch()
    parts = check_members(plan(folder, {"members": {"eye": {}, "last": {"train.vision": "last-1"}}}))
    learning = {name: [row.trainable for row in rows] for name, rows in parts.items()}
    assert learning["eye"][2] == learning["last"][2] == 0
    assert learning["eye"][1] == learning["last"][1] > 0
    assert 0 < learning["last"][0] < learning["eye"][0]
