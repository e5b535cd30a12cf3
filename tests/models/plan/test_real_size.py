"""InternVL2.5-4B from its configuration alone: counts against arithmetic done by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nameplate.models.plan.estimate import plan_training
from nameplate.models.plan.hardware import DATA_SHEETS
from nameplate.models.plan.results import Plan
from nameplate.models.plan.table import Assumptions
from nameplate.recipe import load_recipe

EXAMPLE = Path(__file__).parents[3] / "examples" / "internvl2_5-4b"
EYE, TALK = 3, 4
"""Layers of 24 and 36: all are alike, and fewer are rehearsed sooner."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("internvl")
    tree = json.loads((EXAMPLE / "config.json").read_text())
    assert (tree["vision_config"]["num_hidden_layers"], tree["llm_config"]["num_hidden_layers"]) == (24, 36)
    tree["vision_config"]["num_hidden_layers"], tree["llm_config"]["num_hidden_layers"] = EYE, TALK
    (folder / "config.json").write_text(json.dumps(tree))
    settings = [f"model.base={folder}", "train.examples.name_question_share=0"]
    recipe = load_recipe(EXAMPLE / "recipe.yaml", settings)
    return plan_training(recipe, root=None, hardware=DATA_SHEETS["h100"], assumed=Assumptions(rows=1000))


def test_weights_are_those_of_the_architecture(plan: Plan) -> None:
    tower = EYE * (4 * 1024 * 1024 + 2 * 1024 * 4096)
    language = TALK * (2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 11008)
    forward = {line.part: line.weights for line in plan.work if line.step == "forward" and line.rows}
    products = {(line.part, line.step, line.rows): line.weights for line in plan.work if line.rows}
    assert products["vision", "forward", 8 * 1025] == tower
    assert products["vision", "forward", 8 * 1024] == 3 * 14 * 14 * 1024
    assert forward["language"] == language
    assert forward["head"] == 151674 * 2048
    assert forward["projector"] == 4096 * 2048 + 2048 * 2048


def test_frozen_language_model_passes_gradients_and_learns_nothing(plan: Plan) -> None:
    steps = {(line.part, line.step) for line in plan.work}
    assert ("language", "input_gradient") in steps
    assert ("language", "weight_gradient") not in steps
    assert {("vision", "weight_gradient"), ("projector", "weight_gradient")} <= steps


def test_attention_is_counted_in_its_dense_form(plan: Plan) -> None:
    attention = {(line.part, line.step): line.flops for line in plan.work if not line.rows}
    length = plan.workload.typical.length
    assert attention["vision", "forward"] == EYE * 8 * 4 * 1025 * 1025 * 1024
    assert attention["language", "forward"] == TALK * 8 * 4 * length * length * 2048


def test_memory_is_that_of_the_parameters(plan: Plan) -> None:
    rows = {row.component: row for row in plan.parts}
    learning = rows["vision"].parameters + rows["projector"].parameters
    layer = 4 * 1024 * 1024 + 2 * 1024 * 4096 + 4 * 1024 + 4096 + 1024 + 4 * 1024 + 2 * 1024
    outside = 3 * 14 * 14 * 1024 + 1024 + 1024 + 1025 * 1024
    assert (rows["vision"].parameters, rows["language"].trainable) == (EYE * layer + outside, 0)
    assert plan.memory.weights == 4 * learning + 2 * rows["language"].parameters
    assert plan.memory.optimizer == 8 * learning
