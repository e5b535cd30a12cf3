"""Every choice of how it learns: the loss falls, and after an interruption it is what it would have been."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from tests.models.tiny_run import write_tiny_run
from transformers import PreTrainedModel

from nameplate.errors import InputError, RecipeError, RunDirectoryError, TrainingError
from nameplate.models.batches import Batch
from nameplate.models.images import ImageCache
from nameplate.models.load import load_model
from nameplate.models.processing import IGNORED
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.models.respondent import Question, Respondent
from nameplate.recipe import ExamplesSection, ScoreSection, TrainSection
from nameplate.recipe.loading import build_recipe
from nameplate.stages.score.subjects import find_subjects, read_held_out
from nameplate.stages.train import keeper
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.keeper import prune
from nameplate.stages.train.objective import batch_losses
from nameplate.stages.train.reading import read_training_rows
from nameplate.stages.train.resume import Accuracy, save_resume
from nameplate.stages.train.trainer import PolicyTrainer
from nameplate.stages.train.validation import Validation
from nameplate.store.fingerprint import folder_fingerprint
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory
from nameplate.summary import TrainSummary

from . import scored_run
from .kill_points import StopAfter

FULL = {"mode": "full", "lr": 3e-3}
CHOICES: Mapping[str, Mapping[str, object]] = {
    "adamw by samples": {
        "optimizer": {"betas": [0.8, 0.95], "epsilon": 1e-6, "max_grad_norm": None},
        "examples": {"weighting": "sample"},
    },
    "apollo, names by roots, other images each epoch": {
        "optimizer": {"name": "apollo", "rank": 4, "update_interval": 3},
        "examples": {"balance": "sqrt", "augment": "careful"},
    },
    "apollo_mini, averaged": {"optimizer": {"name": "apollo_mini", "update_interval": 5, "ema_decay": 0.9}},
    "muon by squares, names fourfold": {
        "optimizer": {"name": "muon"},
        "examples": {"weighting": "square", "name_weight": 4.0},
    },
    "adamw_8bit": {"optimizer": {"name": "adamw_8bit"}},
    "adamw by tokens, names alike, pairs": {"examples": {"balance": "uniform", "question_answer_share": 0.25}},
}

train = partial(scored_run.train, asking=ScoreSection(max_new_tokens=6))

pytestmark = pytest.mark.usefixtures("one_thread")


def section(**changes: object) -> TrainSection:
    values: dict[str, object] = {
        "vision": FULL,
        "projector": FULL,
        "language": FULL,
        "epochs": 4,
        "checkpoint_every_epochs": 2,
        "batch_size": 4,
        "memory": {"micro_batch_size": 2},
    }
    return TrainSection.model_validate(values | changes)


@pytest.mark.parametrize("choice", CHOICES)
def test_loss_falls_and_an_interruption_changes_nothing(tmp_path: Path, base: Path, choice: str) -> None:
    if choice == "adamw_8bit":
        pytest.importorskip("bitsandbytes")
    wanted = section(**CHOICES[choice])
    whole = train(write_tiny_run(tmp_path / "a"), base, wanted)
    losses = [loss for _, loss in whole.losses]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    run = write_tiny_run(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        train(run, base, wanted, StopAfter(8))
    assert train(run, base, wanted).losses == whole.losses
    one, other = (folder_fingerprint(tmp_path / which / "checkpoints" / "epoch-04", "*.safetensors") for which in "ab")
    assert one == other


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("weighting", ["token", "sample", "square"])
def test_accumulated_step_equals_one_batch_under_every_weighting(tmp_path: Path, base: Path, weighting: str) -> None:
    """By the losses after the step, which its gradient decides. Measured worst relative difference 4e-7 in float32."""
    examples = {"weighting": weighting, "name_weight": 3.0}
    sizes = {"batch_size": 6, "epochs": 2, "examples": examples, "optimizer": {"warmup_share": 0.0}}
    one, other = (
        train(write_tiny_run(tmp_path / str(size)), base, section(**sizes, memory={"micro_batch_size": size})).losses
        for size in (6, 2)
    )
    assert [loss for _, loss in other] == pytest.approx([loss for _, loss in one], rel=1e-5)


@pytest.mark.usefixtures("single_precision")
def test_what_is_made_small_is_the_mean_over_answers(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `sample`, in the trainer itself, step by step; the last step of the epoch is smaller than the others."""
    own = PolicyTrainer.compute_loss
    small: list[float] = []
    means: list[float] = []

    def watched(self: PolicyTrainer, model: PreTrainedModel, inputs: Batch, **named: Any) -> torch.Tensor:
        with torch.no_grad():
            losses = batch_losses(model, inputs)
        answers = inputs["positions"] // inputs["input_ids"].shape[1]
        counts = inputs["targets"] != IGNORED
        for answer in range(len(inputs["input_ids"])):
            means.append(float(losses[counts & (answers == answer)].mean()))
        part = own(self, model, inputs, **named)
        small.append(float(part.detach()))
        return part

    monkeypatch.setattr(PolicyTrainer, "compute_loss", watched)
    wanted = section(epochs=1, batch_size=5, examples={"weighting": "sample"})
    train(write_tiny_run(tmp_path), base, wanted)
    # Steps of 5, 5 and 2 examples, of 3, 3 and 1 micro-batches.
    for parts, answers in ((slice(3), slice(5)), (slice(3, 6), slice(5, 10)), (slice(6, 7), slice(10, 12))):
        assert sum(small[parts]) == pytest.approx(fmean(means[answers]), rel=1e-5)


def test_checkpoints_hold_the_average_and_training_goes_on_with_the_weights(tmp_path: Path, base: Path) -> None:
    plain = train(write_tiny_run(tmp_path / "plain"), base, section(epochs=2))
    averaged = train(write_tiny_run(tmp_path / "mean"), base, section(epochs=2, optimizer={"ema_decay": 0.9}))
    assert averaged.losses == plain.losses
    start, end, mean = (
        load_model(str(folder)).model.get_parameter("model.multi_modal_projector.linear_1.weight")
        for folder in (base, *(tmp_path / which / "checkpoints" / "epoch-02" for which in ("plain", "mean")))
    )
    assert 0 < float((mean - start).norm().detach()) < float((end - start).norm().detach())


def plan(tmp_path: Path, base: Path, **examples: object) -> EpochPlan:
    run = write_tiny_run(tmp_path)
    wanted = ExamplesSection.model_validate(examples)
    images = ImageCache(run.images, load_processor(base))
    rows = read_training_rows(run, images, PROMPTS, max_tokens=192, section=wanted)
    return EpochPlan(rows, batch_size=4, micro_batch_size=2, section=wanted, seed=0)


def test_captions_questions_and_pairs_are_mixed_as_the_recipe_says(tmp_path: Path, base: Path) -> None:
    mixed = plan(tmp_path, base, name_question_share=0.25, question_answer_share=0.5)
    asked = set()
    for epoch in range(30):
        indices = mixed.examples(epoch)
        kinds = Counter("pair" if index >= 24 else "name" if index % 2 else "caption" for index in indices)
        assert kinds == {"caption": 3, "name": 3, "pair": 6}
        assert sorted(mixed.dataset[index].row for index in indices) == list(range(12))
        asked |= {index for index in indices if index >= 24}
    assert len(asked) == len(mixed.rows.pairs)


def test_examples_know_their_epoch(tmp_path: Path, base: Path) -> None:
    one = plan(tmp_path, base)
    one.epoch = 3
    seen = [one.dataset[index] for batch in one for index in batch]
    assert {example.epoch for example in seen} == {3}
    assert sorted(example.row for example in seen) == list(range(12))


def test_best_and_last_stay_and_all_were_measured(tmp_path: Path, base: Path) -> None:
    wanted = section(keep="best_and_last", checkpoint_every_epochs=1, epochs=3)
    run = write_tiny_run(tmp_path / "whole")
    summary = train(run, base, wanted)
    assert list(summary.validation) == [f"epoch-{epoch:02d}" for epoch in range(1, 4)]
    assert {share.n for share in summary.validation.values()} == {4}
    best = max(summary.validation, key=lambda name: summary.validation[name].count)
    kept = {best, "epoch-03"}
    assert {folder.name for folder in run.checkpoints.iterdir()} == kept
    stored = json.loads((run.folder("train") / "train.json").read_text())
    assert TrainSummary.model_validate(stored).validation == summary.validation
    assert not _unasked(run, base)
    other = write_tiny_run(tmp_path / "interrupted")
    with pytest.raises(KeyboardInterrupt):
        train(other, base, wanted, StopAfter(8))
    resumed = train(other, base, wanted)
    assert (resumed.losses, resumed.validation) == (summary.losses, summary.validation)
    assert {folder.name for folder in other.checkpoints.iterdir()} == kept
    # Measuring does not touch what is learned.
    assert (
        train(write_tiny_run(tmp_path / "all"), base, section(checkpoint_every_epochs=1, epochs=3)).losses
        == summary.losses
    )


def _unasked(run: RunDirectory, base: Path) -> set[Question]:
    """What scoring, with a processor of its own, would have to ask the last checkpoint about validation images."""
    subject = find_subjects(str(base), run)[-1]
    rows = [row for row in read_held_out(run) if row.split == "validation"]
    questions = [Question(row.image, PROMPTS["name"]) for row in rows]
    with Journal(run.prediction_journal) as journal:
        respondent = Respondent(
            subject.folder,
            weights=subject.fingerprint,
            images=ImageCache(run.images, load_processor(base)),
            journal=journal,
            max_new_tokens=6,
            batch_size=64,
        )
        return set(questions) - set(respondent.known(questions))


def test_nothing_goes_before_what_replaces_it_is_whole(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = section(keep="best_and_last", checkpoint_every_epochs=1)
    left = iter([save_resume, save_resume])

    def full(*arguments: Any, **named: Any) -> None:
        save = next(left, None)
        if save is None:
            raise RunDirectoryError("state.safetensors", found="no space left on the disk")
        save(*arguments, **named)

    monkeypatch.setattr(keeper, "save_resume", full)
    monkeypatch.setattr(Validation, "accuracy", lambda *_: Accuracy(1, 4))
    run = write_tiny_run(tmp_path)
    with pytest.raises(RunDirectoryError):
        train(run, base, wanted)
    # The third was written, and the state after it was not: the second is what a resume goes on from.
    assert {folder.name for folder in run.checkpoints.iterdir()} == {"epoch-01", "epoch-02", "epoch-03"}
    monkeypatch.setattr(keeper, "save_resume", save_resume)
    assert list(train(run, base, wanted).validation) == [f"epoch-{epoch:02d}" for epoch in range(1, 5)]
    assert {folder.name for folder in run.checkpoints.iterdir()} == {"epoch-01", "epoch-04"}


def test_of_equals_the_earliest_is_the_best_and_half_deleted_folders_go(tmp_path: Path) -> None:
    names = [f"epoch-{epoch:02d}" for epoch in range(1, 5)]
    for name in (*names, ".epoch-09.gone", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    prune(tmp_path, {})
    assert (tmp_path / "epoch-01").exists()
    prune(tmp_path, dict(zip(names, map(Accuracy, (1, 3, 3, 2), (4, 4, 4, 4)), strict=True)))
    assert {folder.name for folder in tmp_path.iterdir()} == {"epoch-02", "epoch-04", "other"}


def test_best_without_validation_rows_is_refused_before_training(tmp_path: Path, base: Path) -> None:
    with pytest.raises(InputError, match=r"train.keep: best_and_last: no validation rows.*train.keep: all"):
        train(write_tiny_run(tmp_path, validation=0), base, section(keep="best_and_last"))


def test_weights_that_are_no_numbers_after_the_last_step_make_no_checkpoint(tmp_path: Path, base: Path) -> None:
    huge = {"mode": "full", "lr": 1e38}
    wanted = section(vision=huge, projector=huge, epochs=1, batch_size=12, optimizer={"warmup_share": 0.0})
    run = write_tiny_run(tmp_path)
    with pytest.raises(TrainingError, match=r"train epoch 1: after its last step .* is not finite"):
        train(run, base, wanted.model_copy(update={"vision": wanted.vision.model_copy(update={"weight_decay": 10.0})}))
    assert not list(run.checkpoints.glob("epoch-*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.optimizer.name=lion"], "'adamw'"),
        (["train.optimizer.rank=4"], "rank goes with name: apollo"),
        (["train.optimizer={name: apollo_mini, rank: 4}"], "rank goes with name: apollo"),
        (["train.optimizer.update_interval=9"], "update_interval goes with name: apollo or apollo_mini"),
        (["train.optimizer.betas=[0.9, 1.0]"], "less than 1"),
        (["train.optimizer.ema_decay=1"], "less than 1"),
        (["train.optimizer.max_grad_norm=0"], "greater than 0"),
        (["train.optimizer.name=muon", "train.vision={mode: lora}", "train.projector={mode: frozen}"], "muon is for"),
        (["train.examples.name_question_share=0.6", "train.examples.question_answer_share=0.5"], "at most 1"),
        (["train.examples.weighting=root"], "'square'"),
        (["train.examples.augment=careful", "train.memory.prefix=vision"], "memory.prefix: auto or off"),
    ],
)
def test_choices_that_cannot_be_are_refused_when_the_recipe_is_read(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_recipe({"table": {"source": "feed.csv"}}, where="recipe.yaml", overrides=changes)
    assert message in str(refused.value)
