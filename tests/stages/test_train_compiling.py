"""Layers are compiled where that pays: who decides, what is said, and that a training learns the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import ModelError
from nameplate.models import compilable
from nameplate.models.step import compiling as compiler
from nameplate.models.step.compiling import CompilerFailureError, Trial
from nameplate.recipe import TrainSection
from nameplate.stages.train import compiling as deciding
from nameplate.store.rundir import RunDirectory

from . import scored_run
from .kill_points import StopAfter
from .listening import Listener

FASTER = Trial(2.0, 1.0, 9.0, difference=0.001, allowed=0.05)
SLOWER = FASTER._replace(compiled_seconds=2.1)
OTHER = FASTER._replace(difference=0.2)


pytestmark = pytest.mark.usefixtures("one_thread", "single_precision")


class Compiler:
    """Stands for torch's: finds what it is told to find, and counts what it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: Trial | Exception) -> None:
        self.found = found
        self.num_trials = 0
        self.num_calls = 0
        monkeypatch.setattr(deciding, "try_compiled", self.trial)
        monkeypatch.setattr(compilable, "has_compiler", lambda: True)
        monkeypatch.setattr(compiler, "_compiled", self.compiled)

    def trial(self, *_: object) -> Trial:
        self.num_trials += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def compiled(self, forward: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            self.num_calls += 1
            return forward(*arguments, **named)

        return run


def section(compile_: str = "on", *, language: str = "full", epochs: int = 2, **memory: Any) -> TrainSection:
    part = {"mode": "frozen"} if language == "frozen" else {"mode": language, "lr": 1e-3}
    return TrainSection.model_validate(
        {
            "vision": {"mode": "frozen"},
            "projector": {"mode": "full", "lr": 1e-3},
            "language": part,
            "epochs": epochs,
            "checkpoint_every_epochs": 1,
            "batch_size": 6,
            "memory": {"micro_batch_size": 3, "compile": compile_, **memory},
        }
    )


def train(base: Path, run: RunDirectory, recipe: TrainSection) -> list[str]:
    """What was said of compiling."""
    said = Listener()
    scored_run.train(run, base, recipe, said)
    return said.about("compiled")


@pytest.mark.parametrize("language", ["frozen", "full"])
def test_layers_run_compiled_where_one_is_faster(
    language: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Compiler(monkeypatch, FASTER)
    notes = train(base, write_tiny_run(tmp_path / "run"), section(language=language))
    assert notes == ["train: language layers are compiled: 50% less time each; compiling one took 9 s"]
    assert (found.num_trials, found.num_calls > 0) == (1, True)


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (SLOWER, "language layers are not compiled: one is not faster so; compiling one took 9 s"),
        (OTHER, "language layers are not compiled: results differ by 20.0%; compiling one took 9 s"),
        (CompilerFailureError("no such header"), "layers are not compiled: no such header"),
    ],
)
def test_layers_stay_as_they_are_otherwise(
    trial: Trial | Exception, said: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Compiler(monkeypatch, trial)
    notes = train(base, write_tiny_run(tmp_path / "run"), section())
    assert notes == [f"train: {said}"]
    assert found.num_calls == 0


def test_auto_tries_only_with_enough_work_ahead(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Compiler(monkeypatch, FASTER)
    train(base, write_tiny_run(tmp_path / "short"), section("auto", epochs=1))
    monkeypatch.setattr(deciding, "LEAST_AHEAD_MICRO_BATCHES", 1)
    train(base, write_tiny_run(tmp_path / "quick"), section("auto", epochs=1))
    assert found.num_trials == 0
    monkeypatch.setattr(deciding, "LEAST_AHEAD_SECONDS", 1e-9)
    train(base, write_tiny_run(tmp_path / "long"), section("auto", epochs=1))
    assert found.num_trials == 1
    train(base, write_tiny_run(tmp_path / "off"), section("off", epochs=1))
    assert found.num_trials == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_a_training_that_goes_on_does_as_it_did(
    compiled: bool, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Compiler(monkeypatch, FASTER if compiled else SLOWER)
    run = write_tiny_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        # In the second epoch, after the first one's state is written.
        scored_run.train(run, base, section(), StopAfter(3))
    found.found = SLOWER if compiled else FASTER
    before = found.num_calls
    notes = train(base, run, section())
    assert notes == []
    # Compiled before, it is compiled again, whatever it gains this time; plain before, nobody looks.
    assert found.num_trials == 1 + compiled
    assert (found.num_calls > before) == compiled


def test_a_training_that_cannot_compile_again_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    Compiler(monkeypatch, CompilerFailureError("no such header"))
    layers = [torch.nn.Identity()]
    monkeypatch.setattr(deciding, "_call", lambda *_: None)
    said = Listener()
    assert deciding._again(None, layers, None, said, 3) is False  # type: ignore[arg-type]
    assert said.notes == ["train: after epoch 3 layers are not compiled any more, and round otherwise: no such header"]


def test_on_is_refused_where_it_cannot_be(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_tiny_run(tmp_path / "run")
    with pytest.raises(ModelError, match=r"train\.memory\.compile: on, with memory\.checkpointing"):
        train(base, run, section(checkpointing=True))
    monkeypatch.setattr(compilable, "has_compiler", lambda: False)
    with pytest.raises(ModelError, match=r"no C\+\+ compiler"):
        train(base, run, section())
    train(base, run, section("auto"))


def test_the_choice_is_no_part_of_what_is_learned() -> None:
    assert section("on").without_means() == section("off").without_means()
