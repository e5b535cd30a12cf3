"""What of DeepSpeed's and accelerate's settings is taken, and what is refused before any work."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.stages.many_cases import write_recipe

from nameplate.errors import TrainingError
from nameplate.pipeline import Pipeline
from nameplate.recipe import TrainSection, load_recipe
from nameplate.stages.train.ranks.fitting import check_divisible
from nameplate.stages.train.ranks.plugins import taking_plugins
from nameplate.stages.train.ranks.zerosettings import Zero
from nameplate.store.rundir import RunDirectory

_find_spec = importlib.util.find_spec


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch with DeepSpeed, on a machine that has it: what is tested here is decided before it is imported."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name == "deepspeed" else _find_spec(name))
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")


def write(folder: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, Any]) -> None:
    path = folder / "deepspeed.json"
    path.write_text(json.dumps(tree))
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(path))


def test_the_stage_is_taken_and_accelerate_does_not_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with taking_plugins() as division:
        assert division == Zero(2, {})
        assert "ACCELERATE_USE_DEEPSPEED" not in os.environ
    assert os.environ["ACCELERATE_USE_DEEPSPEED"] == "true"
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE", "none")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    with taking_plugins() as division:
        assert division == Zero(3, {})


def test_a_file_says_how_numbers_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = {"stage": 3, "reduce_bucket_size": 1000, "stage3_prefetch_bucket_size": "auto", "overlap_comm": True}
    tree = {
        "zero_optimization": section | {"offload_param": {"device": "none"}},
        "train_micro_batch_size_per_gpu": "auto",
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": False},
        "steps_per_print": 100,
    }
    write(tmp_path, monkeypatch, tree)
    with taking_plugins() as division:
        assert division == Zero(3, {"reduce_bucket_size": 1000, "overlap_comm": True})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ACCELERATE_DEEPSPEED_ZERO_STAGE", "0", r"ZERO_STAGE: 0; expected 1 .*ddp\.yaml"),
        ("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "cpu", r"OPTIMIZER_DEVICE: cpu; expected none"),
        ("ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE", "nvme", r"PARAM_DEVICE: nvme; expected none"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", r"ACCUMULATION_STEPS: 4; .*the recipe"),
        ("ACCELERATE_GRADIENT_CLIPPING", "1.0", r"GRADIENT_CLIPPING: 1\.0; .*the recipe"),
        ("ACCELERATE_DEEPSPEED_CONFIG_FILE", "/no/such.json", r"CONFIG_FILE: /no/such\.json cannot be read"),
    ],
)
def test_what_a_launch_may_not_ask_for(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=said), taking_plugins():
        pass


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, r"deepspeed\.json: no section zero_optimization"),
        ({"zero_optimization": 3}, r"deepspeed\.json: no section zero_optimization"),
        ({"zero_optimization": {"stage": "4"}}, r"zero_optimization\.stage: 4; expected 1"),
        ({"zero_optimization": {"offload_optimizer": {"device": "cpu"}}}, r"offload_optimizer: cpu; expected none"),
        ({"zero_optimization": {"zero_quantized_weights": True}}, r"zero_quantized_weights; expected stage, allgather"),
        ({"zero_optimization": {"round_robin_gradients": True}}, r"zero_optimization: round_robin_gradients; expected"),
        ({"optimizer": {"type": "AdamW"}}, r"deepspeed\.json: optimizer: .*AdamW.*the recipe"),
        ({"bf16": {"enabled": True}}, r"deepspeed\.json: bf16: .*the recipe"),
        ({"gradient_clipping": 1.0}, r"deepspeed\.json: gradient_clipping: 1\.0; .*the recipe"),
        ({"train_batch_size": 32}, r"deepspeed\.json: train_batch_size: 32; .*the recipe"),
    ],
)
def test_what_a_file_may_not_say(
    tree: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, monkeypatch, tree if "zero" in said else {"zero_optimization": {"stage": 2}} | tree)
    with pytest.raises(TrainingError, match=said), taking_plugins():
        pass


def test_a_machine_without_deepspeed_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "deepspeed" else _find_spec(name))
    with pytest.raises(TrainingError, match=r"not installed; pip install 'nameplate\[deepspeed\]'"), taking_plugins():
        pass


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"optimizer": {"name": "muon"}}, r"train\.optimizer\.name: muon: .*stage 3; expected adamw"),
        ({"optimizer": {"name": "adamw_8bit"}}, r"train\.optimizer\.name: adamw_8bit: .*expected adamw"),
        ({"optimizer": {"ema_decay": 0.9}}, r"train\.optimizer\.ema_decay: 0\.9: .*stage 3; expected null"),
        ({"memory": {"weights": "bfloat16"}}, r"train\.memory\.weights: bfloat16: .*expected float32"),
        ({"memory": {"quantise": "int8"}}, r"train\.memory\.quantise: int8: .*expected null"),
    ],
)
def test_what_a_recipe_may_not_ask_for(part: dict[str, Any], said: str) -> None:
    frozen = {"language": {"mode": "frozen"}, "projector": {"mode": "full", "lr": 1e-3}}
    section = TrainSection.model_validate(frozen | part)
    with pytest.raises(TrainingError, match=said):
        check_divisible(section, Zero(3, {}))
    averages = "ema_decay" in said
    if averages:
        check_divisible(section, Zero(2, {}))


def test_a_run_that_would_be_refused_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {"language": {"mode": "frozen"}, "projector": {"mode": "full", "lr": 1e-3}, "optimizer": {"name": "muon"}}
    recipe = load_recipe(write_recipe(tmp_path, tmp_path / "no model", train))
    run = RunDirectory(tmp_path / "run", store=None)
    with pytest.raises(TrainingError, match=r"train\.optimizer\.name: muon"):
        Pipeline(recipe, run).run(until="train")
    assert not run.manifest.stages
    Pipeline(recipe, run).run(until="ingest")
    assert list(run.manifest.stages) == ["ingest"]
