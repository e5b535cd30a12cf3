"""Training with the text before the images read once: the losses of whole examples, also after a stop; and when not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run
from transformers.models.qwen2.modeling_qwen2 import Qwen2MLP

from nameplate.models import constanttext
from nameplate.models.constanttext import NO_TEXT
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train.constanttext import constant_text
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.ranks.plugins import Sharding
from nameplate.stages.train.setup import build_training
from nameplate.store.rundir import RunDirectory

from .kill_points import StopAfter, interrupt
from .listening import Listener
from .scored_run import train

SYSTEM = "a red mug and a blue shoe by Acme"
FULL = {"mode": "full", "lr": 5e-2}
FROZEN = {"mode": "frozen"}

pytestmark = pytest.mark.usefixtures("one_thread", "single_precision")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "base", system=SYSTEM, strong=True)


def section(**changes: Any) -> TrainSection:
    values = {
        "vision": FULL,
        "projector": FULL,
        "language": FROZEN,
        "epochs": 3,
        "checkpoint_every_epochs": 1,
        "batch_size": 4,
        "memory": {"micro_batch_size": 2, "prefix": "off", "packing": "off"},
        "examples": {"question_answer_share": 0.25},
        # Steps follow the size of a gradient, so that what is nothing but rounding moves nothing.
        "optimizer": {"epsilon": 1.0},
    }
    return TrainSection.model_validate(values | changes)


WAYS: dict[str, dict[str, Any]] = {
    "padded": {},
    "packed": {"memory": {"micro_batch_size": 4, "prefix": "off", "packing": "on"}},
    "computed again": {"memory": {"micro_batch_size": 2, "prefix": "off", "checkpointing": True}},
    "behind what the projector reads, names threefold": {
        "vision": FROZEN,
        "memory": {"micro_batch_size": 2, "prefix": "vision"},
        "examples": {"weighting": "square", "name_weight": 3.0},
    },
    "torch's attention": {"memory": {"micro_batch_size": 2, "prefix": "off", "attention": "sdpa"}},
}


@pytest.mark.parametrize("way", WAYS)
def test_losses_are_those_of_whole_examples(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Measured worst relative difference 3e-7, mostly none."""
    said = Listener()
    found = train(write_tiny_run(tmp_path / "once"), base, section(**WAYS[way]), said)
    assert len(said.about("before every image are read once")) == 1
    with monkeypatch.context() as patch:
        patch.setattr(constanttext, "LEAST_SHARE", 2.0)
        wanted = train(write_tiny_run(tmp_path / "whole"), base, section(**WAYS[way]))
    assert [loss for _, loss in found.losses] == pytest.approx([loss for _, loss in wanted.losses], rel=2e-6)
    assert abs(wanted.losses[-1][1] / wanted.losses[0][1] - 1) > 0.05


def test_a_training_that_goes_on_has_the_losses_of_one_that_never_stopped(tmp_path: Path, base: Path) -> None:
    undisturbed = train(write_tiny_run(tmp_path / "a"), base, section())
    run, said = write_tiny_run(tmp_path / "b"), Listener()
    with pytest.raises(KeyboardInterrupt):
        train(run, base, section(), StopAfter(5, interrupt))
    assert train(run, base, section(), said).losses == undisturbed.losses
    assert said.about("goes on after epoch 1")
    assert said.about("before every image are read once")


def read_lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of a row in each pass through a layer of the language model."""
    lengths: list[int] = []
    forward = Qwen2MLP.forward

    def noting(self: Any, hidden: torch.Tensor) -> Any:
        lengths.append(hidden.shape[1])
        return forward(self, hidden)

    monkeypatch.setattr(Qwen2MLP, "forward", noting)
    return lengths


@pytest.mark.parametrize("packing", ["off", "on"])
def test_layers_read_the_text_once(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, packing: str) -> None:
    lengths, said = read_lengths(monkeypatch), Listener()
    memory = {"micro_batch_size": 2, "prefix": "off", "packing": packing}
    train(write_tiny_run(tmp_path), base, section(epochs=1, memory=memory), said)
    (note,) = said.about("before every image")
    num_before = int(note.split()[2])
    assert num_before > 10
    assert num_before % 8, "lengths would agree by chance"
    # One pass over the text in each of two layers, one of the audit, which reads whole examples; then the training.
    assert lengths[:2] == [num_before] * 2
    assert {length % 8 for length in lengths[2:4]} == {0}
    assert len(lengths) == 4 + 2 * 6
    assert {(length + num_before) % 8 for length in lengths[4:]} == {0}


def test_adapters_in_the_language_model_read_it_in_every_pass_and_nothing_is_said(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths, said = read_lengths(monkeypatch), Listener()
    train(write_tiny_run(tmp_path), base, section(epochs=1, language={"mode": "lora", "rank": 2}), said)
    assert said.about("before every image") == []
    assert {length % 8 for length in lengths} == {0}


def test_it_says_why_text_is_read_in_every_pass(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, said = write_tiny_run(tmp_path), Listener()
    training = build_training(section(), ModelSection(base=str(base)), run)
    parted = replace(training, ranks=Ranks(0, 2, Sharding()))
    assert constant_text(parted, said) is NO_TEXT
    assert said.notes[-1].endswith("read in every pass: no test covers it with weights divided among them (FSDP2)")
    together = constant_text(replace(training, ranks=Ranks(0, 2)), said)
    assert len(together.ids) > 10
    monkeypatch.setattr(constanttext, "LEAST_SHARE", 0.9)
    assert constant_text(training, said) is NO_TEXT
    share = float(said.notes[-1].removesuffix("% of all tokens").rpartition(" ")[2])
    tokens = [training.plan.dataset.length(index) for index in training.plan.examples(0)]
    assert share == pytest.approx(100 * len(together.ids) * len(tokens) / sum(tokens), abs=0.1)


def test_text_on_which_examples_differ_is_not_read_once(tmp_path: Path, base: Path) -> None:
    run: RunDirectory = write_tiny_run(tmp_path)
    training = build_training(section(), ModelSection(base=str(base)), run)
    whole = constant_text(training, Listener()).ids
    question = training.rows.pairs.questions[1]
    question.input_ids[4] += 1
    assert constant_text(training, Listener()).ids == whole[:4]
