"""`nameplate parts`: the table of a model's parts under a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text("table: {source: t.csv}\nmodel: {base: starter}\ntrain: {preset: recommended}\n")
    return str(path)


def test_table_has_every_part_and_what_learns(recipe: str) -> None:
    done = CliRunner().invoke(app, ["parts", recipe])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    for part, mode, rate in (
        ("vision", "full", "1.5e-06"),
        ("projector", "full", "4e-05"),
        ("language", "lora", "0.0001"),
    ):
        (line,) = [each for each in lines if each.split()[:2] == [part, mode]]
        assert rate in line.split()
    assert "language: embeddings frozen, head frozen" in lines
    assert "vision: the rate falls from layer to layer, to 2.7e-07" in lines


def test_json_counts_every_parameter(recipe: str) -> None:
    done = CliRunner().invoke(app, ["parts", recipe, "--json", "--set", "train.preset=projector-only"])
    rows = {row["component"]: row for row in json.loads(done.output)["parts"]}
    assert list(rows) == ["vision", "projector", "language"]
    assert [row["trainable"] for row in rows.values()] == [0, rows["projector"]["parameters"], 0]


def test_policy_that_does_not_fit_the_model_is_one_paragraph(recipe: str) -> None:
    settings = ["train.preset=null", "train.vision.mode=last", "train.vision.num_layers=7"]
    done = CliRunner().invoke(app, ["parts", recipe, *(part for each in settings for part in ("--set", each))])
    assert done.exit_code == 2
    assert done.stderr == "nameplate: train.vision.num_layers: 7; expected at most 6\n"
