"""Layers that training compiles: counted where the recipe says so, and named where training may try."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.tiny_model import write_tiny_model

from nameplate.errors import ModelError
from nameplate.models import compilable
from nameplate.models.plan import compiled, probe
from nameplate.models.plan.estimate import plan_training
from nameplate.models.plan.hardware import DATA_SHEETS, Hardware
from nameplate.models.plan.results import Plan
from nameplate.models.plan.table import Assumptions
from nameplate.models.step import compiling
from nameplate.models.step.compiling import CompilerFailureError, Trial
from nameplate.recipe import build_recipe

FASTER = Trial(2.0, 1.5, 9.0, difference=0.2, allowed=0.05)
HERE = replace(DATA_SHEETS["h100"], name="here", bfloat16=1e9, float32=1e9)
"""A slow machine of which nothing need be measured."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("compiled"), tie=False)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is there, and what it gains is known; layers are as fast as the machine."""
    monkeypatch.setattr(compilable, "has_compiler", lambda: True)
    monkeypatch.setattr(compiled, "try_compiled_layer", lambda *_: FASTER)
    monkeypatch.setattr("nameplate.models.plan.estimate.measure_parts", lambda hardware, *_: hardware)


def planned(base: Path, setting: str, *, rows: int = 600, hardware: Hardware = HERE, **train: Any) -> Plan:
    section: dict[str, Any] = {"preset": "everything", "batch_size": 8, "examples": {"name_question_share": 0.0}}
    tree = {
        "table": {"source": "t.csv"},
        "model": {"base": str(base)},
        "train": section | train | {"memory": {"prefix": "off", "compile": setting} | train.get("memory", {})},
    }
    assumed = Assumptions(rows=rows, caption_words=30)
    return plan_training(build_recipe(tree, where="test"), root=None, hardware=hardware, assumed=assumed)


def seconds(plan: Plan) -> dict[str, float]:
    return {line.what: line.seconds for line in plan.time}


@pytest.mark.usefixtures("compiler")
def test_compiled_layers_take_less_time_and_compiling_takes_some(base: Path) -> None:
    plain, fast = seconds(planned(base, "off")), seconds(planned(base, "on"))
    assert fast.pop("compiling layers, once") == 9.0
    saved = {what: 1 - fast[what] / plain[what] for what in plain}
    assert saved == {what: pytest.approx(0.25 if what.startswith("language") else 0.0) for what in plain}


@pytest.mark.usefixtures("compiler")
def test_layers_that_no_gradient_passes_stay_as_they_are(base: Path) -> None:
    last = {"mode": "last", "num_layers": 1, "lr": 1e-4}
    policies = {"preset": None, "vision": {"mode": "frozen"}, "projector": {"mode": "frozen"}, "language": last}
    plain, fast = seconds(planned(base, "off", **policies)), seconds(planned(base, "on", **policies))
    assert fast["language, backward"] == pytest.approx(0.75 * plain["language, backward"])
    # One of two layers, of equal work.
    assert fast["language, forward"] == pytest.approx((1 + 0.75) / 2 * plain["language, forward"])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (FASTER, "language layers are counted as compiled: 25% less time each"),
        (FASTER._replace(compiled_seconds=1.95), "not counted as compiled: one is not faster so here"),
        (CompilerFailureError("no such header"), "not counted as compiled: no such header"),
    ],
)
@pytest.mark.usefixtures("compiler")
def test_what_a_trial_found_is_said(
    base: Path, monkeypatch: pytest.MonkeyPatch, found: Trial | Exception, said: str
) -> None:
    def trial(*_: object) -> Trial:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(compiled, "try_compiled_layer", trial)
    plan = planned(base, "on")
    (line,) = plan.compiling
    assert said in line
    assert ("compiling layers, once" in seconds(plan)) == (found is FASTER)


@pytest.mark.usefixtures("compiler")
def test_training_that_may_compile_is_told_apart_from_one_that_does_not(base: Path) -> None:
    long = planned(base, "auto", rows=20_000)
    (line,) = long.compiling
    assert "training will try to compile language layers that take" in line
    assert "--set train.memory.compile=on measures it here" in line
    assert seconds(long) == seconds(planned(base, "off", rows=20_000))
    assert planned(base, "off", rows=20_000).compiling == ()
    assert planned(base, "auto", rows=20).compiling == ()
    assert planned(base, "auto", rows=20_000, memory={"checkpointing": True}).compiling == ()
    assert planned(base, "auto", rows=20_000_000_000, hardware=DATA_SHEETS["h100"]).compiling == ()


@pytest.mark.usefixtures("compiler")
def test_what_training_would_refuse_is_refused(base: Path) -> None:
    with pytest.raises(ModelError, match="on, on cuda"):
        planned(base, "on", hardware=DATA_SHEETS["h100"])
    with pytest.raises(ModelError, match=r"on, with memory\.checkpointing"):
        planned(base, "on", memory={"checkpointing": True})


def test_a_layer_without_values_is_compiled_and_timed(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by torch's compiler, forward and backward; tests/models/step/test_compiling.py makes machine code, too."""
    tried: list[Trial] = []
    monkeypatch.setattr(compilable, "has_compiler", lambda: True)
    monkeypatch.setattr(compiling, "_compiled", partial(torch.compile, dynamic=True, backend="aot_eager"))

    def noted(*arguments: Any) -> Trial:
        tried.append(probe.try_compiled_layer(*arguments))
        return tried[0]

    monkeypatch.setattr(compiled, "try_compiled_layer", noted)
    (line,) = planned(base, "on", rows=16, hardware=probe.measure_here()).compiling
    (trial,) = tried
    assert min(trial.plain_seconds, trial.compiled_seconds) > 0
    # Compiling is the first of its runs.
    assert trial.compile_seconds > trial.compiled_seconds
    assert line.startswith("language layers are")
