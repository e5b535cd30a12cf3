"""The table of parts without the weights is the table that training shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nameplate.errors import ModelError
from nameplate.models.blueprint import planned_parts
from nameplate.models.load import load_model, stored_dtype
from nameplate.models.parts import component_rows
from nameplate.models.policy import apply_policies
from nameplate.models.precision import frozen_dtype
from nameplate.recipe import PRESETS, PresetName, TrainSection

from .tiny_model import write_tiny_model


@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("preset", PRESETS)
def test_planned_table_is_the_one_that_training_shows(tmp_path: Path, preset: PresetName, tie: bool) -> None:
    base = str(write_tiny_model(tmp_path, tie=tie))
    section = TrainSection(preset=preset)
    model = load_model(base).model
    dtype = frozen_dtype(stored_dtype(tmp_path), learning=torch.float32)
    assert planned_parts(base, section) == component_rows(
        apply_policies(model, section.policies(), frozen_dtype=dtype, memory=section.memory)
    )


def test_values_are_not_read(tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path)
    whole = planned_parts(str(base), TrainSection())
    file = base / "model.safetensors"
    stored = file.read_bytes()
    start = 8 + int.from_bytes(stored[:8], "little")
    file.write_bytes(stored[:start] + b"\xff" * (len(stored) - start))
    assert planned_parts(str(base), TrainSection()) == whole


def test_a_stored_head_counts_even_where_the_configuration_says_tied(tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path, tie=False)
    whole = planned_parts(str(base), TrainSection())
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    assert planned_parts(str(base), TrainSection()) == whole


def test_malformed_configuration_is_refused(tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path)
    config = json.loads((base / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = "many"
    (base / "config.json").write_text(json.dumps(config))
    for read in (lambda: planned_parts(str(base), TrainSection()), lambda: load_model(str(base))):
        with pytest.raises(ModelError, match=r"config\.json: malformed .*num_hidden_layers"):
            read()


def test_unknown_family_is_refused(tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"model_type": "git"}))
    with pytest.raises(ModelError, match="'git', whose parts are not known"):
        planned_parts(str(base), TrainSection())
