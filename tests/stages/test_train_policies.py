"""Training under other policies than whole components: what is shown, formats, recomputation, quantised parts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run
from transformers import AutoModelForImageTextToText

from nameplate.errors import ModelError
from nameplate.models.load import load_model
from nameplate.models.parts import row_sentence
from nameplate.progress import SilentProgress
from nameplate.recipe import TrainSection
from nameplate.store.rundir import RunDirectory
from nameplate.summary import TrainSummary

from . import scored_run
from .listening import Listener

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def short_base(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """The same in bfloat16."""
    folder = write_tiny_model(tmp_path_factory.mktemp("short") / "base")
    AutoModelForImageTextToText.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(folder)
    return folder


def train(run: RunDirectory, base: Path, listener: Listener | None = None, **section: object) -> TrainSummary:
    values = {"epochs": 2, "checkpoint_every_epochs": 2, "batch_size": 4} | section
    return scored_run.train(run, base, TrainSection.model_validate(values), listener or SilentProgress())


def changed_parts(base: Path, run: RunDirectory) -> set[str]:
    before, after = load_model(str(base)), load_model(str(run.checkpoints / "epoch-02"))
    pairs = zip(before.model.named_parameters(), after.model.parameters(), strict=True)
    return {".".join(name.split(".")[1:3]) for (name, old), new in pairs if not torch.equal(old, new)}


def test_table_and_audit_are_shown_before_the_first_step(tmp_path: Path, base: Path) -> None:
    listener = Listener()
    summary = train(write_tiny_run(tmp_path), base, listener, preset="frozen-language")
    table = [f"train: {row_sentence(row)}" for row in summary.components]
    # Whether images are kept is for the clock to say; what is read once has tests of its own.
    said = [line for line in listener.notes if "kept: " not in line and "before every image" not in line]
    assert said[:3] == table
    assert said[3].startswith("train: gradient audit passed on one batch: vision ")


def test_rates_that_fall_and_some_layers_train_and_resume_state_fits(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path)
    train(
        run,
        base,
        vision={"mode": "full", "lr": 1e-2, "layer_decay": 0.5},
        projector={"mode": "frozen"},
        language={"mode": "layers", "layers": ["0"], "lr": 1e-2},
    )
    assert changed_parts(base, run) == {
        "vision_tower.embeddings",
        "vision_tower.encoder",
        "language_model.layers",
    }
    assert (run.folder("train") / "resume" / "state.safetensors").exists()


@pytest.mark.parametrize("vision", ["full", "frozen"])
def test_recomputing_changes_no_loss(tmp_path: Path, base: Path, vision: str) -> None:
    policies = {"vision": {"mode": vision, "lr": 1e-3}, "language": {"mode": "lora", "lr": 1e-2, "rank": 4}}
    kept = train(write_tiny_run(tmp_path / "kept"), base, **policies)
    again = train(write_tiny_run(tmp_path / "again"), base, memory={"checkpointing": True}, **policies)
    assert again.losses == kept.losses


def test_what_learns_in_bfloat16_trains_and_frozen_parts_stay(tmp_path: Path, short_base: Path) -> None:
    run = write_tiny_run(tmp_path)
    learning = {"mode": "full", "lr": 1e-2}
    summary = train(
        run, short_base, vision={"mode": "frozen"}, projector=learning, memory={"weights": "bfloat16"}, epochs=2
    )
    assert [row.dtype for row in summary.components] == ["bfloat16"] * 3
    assert {part.split(".")[0] for part in changed_parts(short_base, run)} == {"multi_modal_projector"}


def test_bfloat16_is_refused_where_it_would_round_frozen_parts(tmp_path: Path, base: Path) -> None:
    with pytest.raises(ModelError, match=r"train\.memory\.weights: bfloat16, but the base is stored in torch\.float32"):
        train(write_tiny_run(tmp_path), base, memory={"weights": "bfloat16"})


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_checkpoint_of_a_quantised_training_holds_the_language_model_as_it_was(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path)
    train(run, base, preset="frozen-language", memory={"quantise": "nf4"})
    assert {part.split(".")[0] for part in changed_parts(base, run)} == {"vision_tower", "multi_modal_projector"}
