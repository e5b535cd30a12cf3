"""Text that a training reads once is not planned in every pass, and what is left is planned as it is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.plan.test_rehearsal import flops_of, measured, planned
from tests.models.tiny_model import SIDE, write_tiny_model

from nameplate.models import constanttext
from nameplate.models.batches import Batch, collate
from nameplate.models.blueprint import draw
from nameplate.models.constanttext import NO_TEXT, ConstantText
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.plan.estimate import plan_section, prepare
from nameplate.models.plan.hardware import DATA_SHEETS, Hardware
from nameplate.models.plan.rehearsal import computing_in, rehearse
from nameplate.models.plan.shapes import shapes_only
from nameplate.models.plan.table import Assumptions, Examples, known_examples
from nameplate.models.policy import apply_policies
from nameplate.models.precision import set_training_attention
from nameplate.models.step.textbefore import read_text
from nameplate.recipe import Recipe, TrainSection
from nameplate.recipe.loading import build_recipe

SECTION = TrainSection(preset="frozen-language")
HERE = replace(DATA_SHEETS["h100"], name="here")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"), tie=False, system="a red mug and a blue shoe by Acme")


def batch_behind(loaded: LoadedModel, text: ConstantText) -> Batch:
    encoded = [text.behind(loaded.processor.encode("Which brand is this?", "a red mug by Acme")) for _ in range(3)]
    batch = collate(encoded, loaded.processor.pad_id, num_before=len(text.ids))
    return {**batch, **text.inputs, "pixel_values": torch.zeros(3, 3, SIDE, SIDE)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("attention", ["auto", "sdpa"])
def test_what_is_rehearsed_behind_a_text_is_what_happens(base: Path, dtype: torch.dtype, attention: Any) -> None:
    """Measured worst cases: none for FLOPs, 0.4 % for what is kept."""
    loaded, blueprint = load_model(str(base)), draw(base)
    for model in (loaded.model, blueprint.model):
        set_training_attention(model, attention, longest=1)
    applied = apply_policies(loaded.model, SECTION.policies(), frozen_dtype=dtype)
    drawn = planned(apply_policies(blueprint.model, SECTION.policies(), frozen_dtype=dtype), blueprint.model)
    ids = tuple(loaded.processor.encode("a").input_ids[:9])
    with computing_in(dtype):
        text = ConstantText(ids, read_text(loaded.model, ids))
        with shapes_only():
            empty = ConstantText(ids, read_text(blueprint.model, ids))
    assert {name: each.shape for name, each in empty.inputs.items()} == {
        name: each.shape for name, each in text.inputs.items()
    }
    batch = batch_behind(loaded, text)
    blueprint.model.config.image_token_id = loaded.processor.image_token_id
    found = rehearse(blueprint.model, drawn, {**batch, **empty.inputs}, dtype=dtype, accumulates=False)
    flops, kept, peak = measured(loaded.model, applied, batch, dtype=dtype, accumulates=False)
    assert flops_of(found) == flops
    assert found.kept == pytest.approx(kept, rel=0.01)
    assert found.peak == pytest.approx(peak, rel=0.15)


def recipe(base: Path, *changes: str) -> Recipe:
    tree = {"table": {"source": "feed.csv"}, "model": {"base": str(base)}, "train": {"preset": "frozen-language"}}
    return build_recipe(tree, where="recipe.yaml", overrides=changes)


def examples(wanted: Recipe) -> Examples:
    return known_examples(None, Assumptions(rows=40, caption_words=8), wanted.split)


@pytest.mark.parametrize(
    ("changes", "hardware", "once"),
    [
        ((), HERE, True),
        (("train.memory.attention=sdpa",), HERE, True),
        (("train.preset=projector-only",), HERE, True),
        (("train.preset=recommended",), HERE, False),
        ((), DATA_SHEETS["h100"], False),
    ],
)
def test_it_is_planned_where_training_would_do_it(
    base: Path, changes: tuple[str, ...], hardware: Hardware, once: bool
) -> None:
    wanted = recipe(base, *changes)
    ready = prepare(wanted, wanted.train, examples(wanted), hardware)
    assert (len(ready.text.ids) > 10) == once
    assert (ready.text is NO_TEXT) != once


def test_it_is_said_and_the_language_model_computes_less(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = recipe(base)
    monkeypatch.setattr("nameplate.models.plan.probe.SECONDS", 0.01)
    plans = [plan_section(wanted, wanted.train, examples(wanted), HERE)]
    monkeypatch.setattr(constanttext, "LEAST_SHARE", 2.0)
    plans.append(plan_section(wanted, wanted.train, examples(wanted), HERE))
    said = [[each for each in plan.said if "before every image" in each] for plan in plans]
    assert said[1] == []
    num_before = int(said[0][0].split()[1])
    rows = [
        {line.rows for line in plan.work if line.part == "language" and line.step == "forward" and line.rows}
        for plan in plans
    ]
    shape = plans[0].workload.typical
    assert rows == [{shape.examples * (shape.length - num_before)}, {shape.examples * shape.length}]
    assert plans[0].memory.activations < plans[1].memory.activations
