"""Training: what it learns from, that it adds up right, and that it goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tests.models.tiny_run import write_tiny_run
from transformers import InternVLConfig

from nameplate.errors import InputError, TrainingError
from nameplate.models.images import ImageCache
from nameplate.models.load import load_model
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.recipe import ComponentPolicy, ExamplesSection, TrainSection
from nameplate.stages.train import stage, trainer
from nameplate.stages.train.ahead import LoaderAhead
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.losses import LossLog
from nameplate.stages.train.reading import read_training_rows
from nameplate.store.fingerprint import folder_fingerprint
from nameplate.store.rundir import RunDirectory
from nameplate.summary import TrainSummary

from .kill_points import StopAfter, interrupt
from .scored_run import train

FULL = ComponentPolicy(mode="full", lr=1e-3)
FROZEN = ComponentPolicy(mode="frozen")
LORA = ComponentPolicy(mode="lora", lr=2e-2, rank=4)
RICH: dict[str, object] = {
    "optimizer": {"name": "apollo", "rank": 4, "update_interval": 3, "ema_decay": 0.9},
    "examples": {"balance": "sqrt", "weighting": "square", "augment": "careful"},
}
"""Everything that has a state of its own."""

pytestmark = pytest.mark.usefixtures("one_thread")


def micro(size: int) -> dict[str, int]:
    return {"micro_batch_size": size}


def section(**changes: object) -> TrainSection:
    values: dict[str, object] = {
        "vision": FULL,
        "projector": FULL,
        "language": FROZEN,
        "epochs": 4,
        "checkpoint_every_epochs": 2,
        "batch_size": 4,
        "memory": micro(2),
    }
    return TrainSection.model_validate(values | changes)


def _run_and_images(root: Path, base: Path) -> tuple[RunDirectory, ImageCache]:
    run = write_tiny_run(root)
    return run, ImageCache(run.images, load_processor(base))


def test_loss_falls_and_checkpoints_are_ordinary_folders(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path)
    language = ComponentPolicy(mode="full", lr=1e-2)
    summary = train(run, base, section(language=language, epochs=6, checkpoint_every_epochs=4))
    assert [folder.name for folder in sorted(run.checkpoints.iterdir())] == ["epoch-04", "epoch-06"]
    assert summary.losses[-1][1] < 0.9 * summary.losses[0][1]
    assert summary.steps == len(summary.losses) == 18
    assert summary.losses[-1][0] == 6.0
    stored = json.loads((run.folder("train") / "train.json").read_text())
    assert TrainSummary.model_validate(stored) == summary
    last = run.checkpoints / "epoch-06"
    notes = json.loads((last / "nameplate.json").read_text())
    assert notes["epoch"] == 6
    tail = [loss for epoch, loss in summary.losses if epoch > 4]
    assert min(tail) <= notes["train_loss"] <= max(tail)
    before, after = load_model(str(base)), load_model(str(last))
    assert load_processor(last).fingerprint == before.processor.fingerprint
    changed = {
        name.split(".")[1]
        for (name, old), new in zip(before.model.named_parameters(), after.model.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert changed == {"vision_tower", "multi_modal_projector", "language_model"}


def test_frozen_parts_come_out_bit_equal(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path)
    train(run, base, section(vision=FROZEN))
    before, after = load_model(str(base)), load_model(str(run.checkpoints / "epoch-04"))
    for (name, old), new in zip(before.model.named_parameters(), after.model.parameters(), strict=True):
        assert torch.equal(old, new) == ("multi_modal_projector" not in name), name


@pytest.mark.parametrize("vision", [FULL, FROZEN], ids=["pixels", "kept features"])
def test_interrupted_training_has_the_losses_of_an_undisturbed_one(tmp_path: Path, base: Path, vision: object) -> None:
    noisy = tmp_path / "noisy"
    model = load_model(str(base))
    config = model.model.config
    assert isinstance(config, InternVLConfig)
    config.text_config.attention_dropout = 0.2  # so that the random state matters
    model.model.save_pretrained(noisy)
    model.processor.save(noisy)
    wanted = section(vision=vision, language=LORA)
    undisturbed = train(write_tiny_run(tmp_path / "a"), noisy, wanted)
    run = write_tiny_run(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        train(run, noisy, wanted, StopAfter(8))
    assert [folder.name for folder in run.checkpoints.iterdir()] == ["epoch-02"]
    resumed = train(run, noisy, wanted)
    assert resumed.losses == undisturbed.losses
    assert resumed.steps == undisturbed.steps == 12
    weights = [
        folder_fingerprint(tmp_path / which / "checkpoints" / "epoch-04", "*.safetensors") for which in ("a", "b")
    ]
    assert weights[0] == weights[1]
    assert (run.checkpoints / "epoch-04" / "adapter" / "adapter_model.safetensors").exists()


def test_killed_process_goes_on(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path / "killed")
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.stages.kill_points import StopAfter\n"
        "from tests.stages.scored_run import train\n"
        "from tests.stages.test_train import RICH, section\n"
        "from nameplate.store.rundir import RunDirectory\n"
        "import torch\n"
        "torch.set_num_threads(1)\n"
        "kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train(RunDirectory(Path(sys.argv[1])), Path(sys.argv[2]), section(**RICH), StopAfter(10, kill))\n"
    )
    command = [sys.executable, "-c", script, str(run.root), str(base)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    resumed = train(RunDirectory(run.root), base, section(**RICH))
    assert resumed.losses == train(write_tiny_run(tmp_path / "whole"), base, section(**RICH)).losses


def test_finished_training_is_not_repeated(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_tiny_run(tmp_path)
    first = train(run, base, section())
    monkeypatch.setattr(stage, "_train", interrupt)
    assert train(run, base, section()) == first


def test_another_section_starts_anew(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path)
    train(run, base, section(epochs=4, checkpoint_every_epochs=1))
    train(run, base, section(epochs=1))
    assert [folder.name for folder in run.checkpoints.iterdir()] == ["epoch-01"]


@pytest.mark.usefixtures("single_precision")
def test_accumulated_step_equals_the_same_step_in_one_batch(tmp_path: Path, base: Path) -> None:
    """Measured worst relative difference 3e-7 in float32; a mean of means differs by percents."""
    losses = [
        train(
            write_tiny_run(tmp_path / str(micro)),
            base,
            section(batch_size=6, memory={"micro_batch_size": micro}, epochs=2),
        ).losses
        for micro in (6, 2, 4)
    ]
    for other in losses[1:]:
        assert [loss for _, loss in other] == pytest.approx([loss for _, loss in losses[0]], rel=1e-5)


def test_kept_features_give_the_losses_of_pixels(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = section(vision=FROZEN, epochs=2)
    kept = train(write_tiny_run(tmp_path / "kept"), base, wanted)
    monkeypatch.setattr(stage, "frozen_prefix", lambda *_, **__: None)
    assert train(write_tiny_run(tmp_path / "pixels"), base, wanted).losses == kept.losses


def test_epoch_plan_depends_on_seed_and_epoch_alone(tmp_path: Path, base: Path) -> None:
    rows = read_training_rows(*_run_and_images(tmp_path, base), PROMPTS, max_tokens=192)

    def plan(seed: int, share: float = 0.5) -> EpochPlan:
        return EpochPlan(
            rows, batch_size=5, micro_batch_size=2, section=ExamplesSection(name_question_share=share), seed=seed
        )

    one = plan(1)
    assert one.examples(3) == plan(1).examples(3)
    assert one.examples(3) != one.examples(4)
    assert one.examples(3) != plan(2).examples(3)
    for epoch in range(3):
        indices = one.examples(epoch)
        assert sorted(index // 2 for index in indices) == list(range(12))
        assert sum(index % 2 for index in indices) == 6
        one.epoch = epoch
        size = len(one.dataset)
        batches = [[index - epoch * size for index in batch] for batch in one]
        assert len(batches) == len(one) == 3 + 3 + 1
        assert [len(batch) for batch in batches] == [1, 2, 2, 1, 2, 2, 2]
        assert sorted(index for batch in batches for index in batch) == sorted(indices)
        assert sorted(index for batch in batches[:3] for index in batch) == sorted(indices[:5])
    assert not any(index % 2 for index in plan(0, share=0.0).examples(0))
    assert all(index % 2 for index in plan(0, share=1.0).examples(0))


def test_empty_training_split_is_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(InputError, match=r"split.*no rows to train on"):
        train(write_tiny_run(tmp_path, train=0), base, section())


def test_policy_that_trains_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="every one is frozen"):
        section(vision=FROZEN, projector=FROZEN)


def test_caption_longer_than_the_model_reads_is_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(TrainingError, match=r"row train-0: 12 examples are longer than the model's 30 tokens"):
        read_training_rows(*_run_and_images(tmp_path, base), PROMPTS, max_tokens=30)


def test_loss_that_is_no_number_stops_before_a_checkpoint(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_tiny_run(tmp_path)
    with pytest.raises(TrainingError, match=r"train epoch \d+ step \d+: the loss is (nan|inf) on rows train-\d+"):
        train(run, base, section(vision=ComponentPolicy(mode="full", lr=1e30), optimizer={"warmup_share": 0.0}))
    assert not list(run.checkpoints.glob("epoch-*"))


def test_bad_loss_names_the_rows_of_its_batch() -> None:
    log = LossLog(("a", "b", "c"), steps_per_epoch=2, logged=[], flush_steps=2)
    log.add(torch.tensor(6.0), torch.tensor(3), torch.tensor([0]))
    log.end_step()
    log.add(torch.tensor(float("nan")), torch.tensor(3), torch.tensor([2, 1]))
    with pytest.raises(TrainingError, match=r"train epoch 1 step 2: the loss is nan on rows c, b"):
        log.end_step()


def test_losses_are_weighted_by_tokens() -> None:
    log = LossLog(("a",), steps_per_epoch=2, logged=[], flush_steps=8)
    log.add(torch.tensor(6.0), torch.tensor(1), torch.tensor([0]))
    log.add(torch.tensor(3.0), torch.tensor(8), torch.tensor([0]))
    log.end_step()
    log.add(torch.tensor(1.0), torch.tensor(1), torch.tensor([0]))
    log.end_step()
    assert log.mean_since_last() == 1.0
    assert log.logged == [(0.5, 1.0), (1.0, 1.0)]


def test_batches_prepared_ahead_give_the_same_losses(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = train(write_tiny_run(tmp_path / "alone"), base, section(epochs=2))
    monkeypatch.setattr(trainer, "DataLoader", LoaderAhead)
    assert train(write_tiny_run(tmp_path / "ahead"), base, section(epochs=2)).losses == alone.losses
