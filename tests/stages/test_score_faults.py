"""Planted faults: each is something that has spoiled scores elsewhere, and each is caught, and said in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nameplate.errors import ModelError
from nameplate.models import respondent
from nameplate.models.checkpoint import NOTES_FILE
from nameplate.models.generate import Answer, by_library
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.images import ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.respondent import Question
from nameplate.models.weights import write_weights
from nameplate.stages.score.checks import batching, canary
from nameplate.stages.score.checks.canary import Canaries, Canary
from nameplate.stages.score.checks.endings import check_endings
from nameplate.stages.score.replies import Reply
from nameplate.store.rundir import RunDirectory
from nameplate.summary import SelfCheck

from .scored_run import one, score, unscored_copy, write_trained_run

PROJECTOR = "multi_modal_projector.linear_2.weight"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    return write_trained_run(tmp_path_factory.mktemp("run") / "one", base)


@pytest.fixture
def run(trained: RunDirectory, tmp_path: Path) -> RunDirectory:
    return unscored_copy(trained, tmp_path / "run")


def checked(run: RunDirectory, base: Path, **changes: object) -> list[SelfCheck]:
    return score(run, base, **changes).checks


def change(folder: Path, name: str, by: float) -> None:
    """Multiply one tensor of a checkpoint."""
    weights = load_file(folder / "model.safetensors")
    weights[name] = weights[name] * by
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_sound_run_passes_every_check_and_says_what_was_found(run: RunDirectory, base: Path) -> None:
    checks = checked(run, base)
    assert {check.model for check in checks} == {"base", "epoch-10", "epoch-20"}
    last = {check.kind: check for check in checks if check.model == "epoch-20"}
    assert set(last) == {"batching", "image_used", "weights", "image_tokens", "cut_off", "empty", "finite"}
    assert {check.outcome for check in last.values()} == {"passed"}, [check.sentence for check in last.values()]
    assert "of 16 answers are the same in a batch and one by one" in last["batching"].sentence
    assert last["weights"].sentence == "Its logits differ from those of all 2 models before it."
    assert last["image_tokens"].sentence == (
        "Images have as many tokens as in training: 4 for 448x448, 4 for 1600x800, 4 for 600x1800 pixels."
    )
    assert last["finite"].sentence == "All 20 questions were answered, in finite numbers."


def test_checks_are_not_made_again_for_the_same_weights(
    run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checked(run, base)

    def load(folder: str, *, dtype: torch.dtype) -> LoadedModel:
        raise AssertionError(f"{folder} was loaded, though everything is known")

    monkeypatch.setattr(respondent, "load_model", load)
    assert checked(run, base) == first


def test_stale_checkpoint_is_caught_however_its_files_are_cut(run: RunDirectory, base: Path) -> None:
    weights = load_file(run.checkpoints / "epoch-10" / "model.safetensors")
    stale = run.checkpoints / "epoch-20"
    (stale / "model.safetensors").unlink()
    write_weights(dict(reversed(weights.items())), stale, max_shard_size="100KB")
    assert len(list(stale.glob("*.safetensors"))) > 1
    with pytest.raises(ModelError, match=r"epoch-20: has exactly the weights of epoch-10"):
        score(run, base)


def test_old_weights_that_answer_for_new_ones_are_caught(
    run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(folder: str, *, dtype: torch.dtype) -> LoadedModel:
        return load_model(folder.replace("epoch-20", "epoch-10"), dtype=dtype)

    monkeypatch.setattr(respondent, "load_model", stale)
    with pytest.raises(ModelError, match=r"epoch-20: its logits are exactly those of epoch-10, though their weights"):
        score(run, base)


def test_image_that_reaches_nothing_is_caught(run: RunDirectory, base: Path) -> None:
    change(run.checkpoints / "epoch-20", PROJECTOR, 0.0)
    with pytest.raises(ModelError, match=r"epoch-20: its logits for 16 images are exactly those for grey images"):
        score(run, base)


def test_image_that_changes_no_answer_is_said(run: RunDirectory, base: Path) -> None:
    change(run.checkpoints / "epoch-20", PROJECTOR, 1e-4)
    found = one(checked(run, base), "image_used", "epoch-20")
    assert found.outcome == "warned"
    assert found.sentence.startswith("Not one of 16 answers changes when the image is replaced by a grey one")


def test_other_number_of_image_tokens_than_in_training_is_caught(run: RunDirectory, base: Path) -> None:
    path = run.checkpoints / "epoch-20" / NOTES_FILE
    notes = json.loads(path.read_text())
    assert notes["image_tokens"] == {"448x448": 4, "1600x800": 4, "600x1800": 4}
    path.write_text(json.dumps(notes | {"image_tokens": {"448x448": 4, "1600x800": 12, "600x1800": 16}}))
    with pytest.raises(ModelError, match=r"an image of 1600x800 pixels has 4 tokens here, and had 12 in training"):
        score(run, base)


def test_checkpoint_without_a_note_of_its_tokens_is_scored(run: RunDirectory, base: Path) -> None:
    for path in run.checkpoints.glob(f"*/{NOTES_FILE}"):
        notes = json.loads(path.read_text())
        del notes["image_tokens"]
        path.write_text(json.dumps(notes))
    assert one(checked(run, base), "image_tokens", "epoch-20").outcome == "skipped"


def test_answers_that_the_limit_cuts_off_are_said_with_what_to_do(run: RunDirectory, base: Path) -> None:
    found = one(checked(run, base, max_new_tokens=1), "cut_off", "epoch-20")
    assert found.outcome == "warned"
    assert found.sentence == (
        "20 of 20 answers (100.0%) to 'Which brand is this product?' were cut off at 1 tokens; raise "
        "score.max_new_tokens. That is more than half: the limit is far too low, or the model never learned to end "
        "its turn."
    )


def test_model_that_never_stops_is_said(run: RunDirectory, base: Path) -> None:
    loaded = load_model(str(base))
    folder = run.checkpoints / "epoch-20"
    weights = load_file(folder / "model.safetensors")
    (embeddings,) = [name for name in weights if name.endswith("embed_tokens.weight")]
    # Head and embeddings are one tensor here, so the end of turn has the logit 0 for ever.
    weights[embeddings][loaded.processor.end_id] = 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    found = one(checked(run, base, max_new_tokens=30), "cut_off", "epoch-20")
    assert found.outcome == "warned"
    assert "(100.0%)" in found.sentence


def test_two_answers_that_differ_in_a_batch_are_one_too_many(
    run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = by_library
    asked: list[str] = []

    def spoil_some(loaded: LoadedModel, images: ImageBatch, prompts: list[str], most: int) -> Iterator[Answer]:
        asked.extend(prompts)
        spoiled = len(asked) in spoil
        said = original(loaded, images, prompts, most)
        return (each._replace(text="another") for each in said) if spoiled else said

    monkeypatch.setattr(batching, "by_library", spoil_some)
    spoil = {3}
    assert (
        one(checked(run, base), "batching", "base").sentence
        == "15 of 16 answers are the same in a batch and one by one."
    )
    run.prediction_journal.unlink()
    asked.clear()
    spoil = {3, 7}
    with pytest.raises(ModelError, match="base: 2 of 16 answers differ between a batch and one by one; expected at"):
        score(run, base)


def test_weights_that_differ_by_less_than_answers_can_show_are_no_error(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base, tmp_path / "near")
    shutil.copytree(base, tmp_path / "far")
    change(tmp_path / "near", PROJECTOR, 1 + 1e-6)
    change(tmp_path / "far", PROJECTOR, 1.1)
    monkeypatch.setattr(canary, "compute_dtype", lambda: torch.bfloat16)
    canaries = Canaries()
    assert canaries.check(Canary("base", base, "a")).outcome == "passed"
    found = canaries.check(Canary("near", tmp_path / "near", "a"))
    assert found.outcome == "warned"
    assert "only by less than bfloat16 can tell" in found.sentence
    assert canaries.check(Canary("broken", base, canary.digest_of(torch.tensor([1.0, torch.nan])))).outcome == "skipped"
    with pytest.raises(ModelError, match="far: its logits are exactly those of base"):
        canaries.check(Canary("far", tmp_path / "far", "a"))


def ended(*finishes: str, prompt: str = "Which?") -> dict[Question, Reply]:
    return {
        Question(ImageKey(str(place), "png"), prompt): Reply("" if finish == "empty" else "A", said, None)
        for place, finish in enumerate(finishes)
        for said in ["stop" if finish == "empty" else finish]
    }


def test_how_answers_end_is_counted_for_each_question() -> None:
    replies = ended(*["stop"] * 100) | ended("length", *["stop"] * 9, prompt="In detail?")
    cut_off, empty, finite = check_endings("m", replies, max_new_tokens=96)
    # 1 of 110 is rare, 1 of 10 is not.
    assert (cut_off.outcome, empty.outcome, finite.outcome) == ("warned", "passed", "passed")
    assert cut_off.sentence == (
        "1 of 10 answers (10.0%) to 'In detail?' were cut off at 96 tokens; raise score.max_new_tokens."
    )


def test_answers_that_are_none_are_said() -> None:
    checks = check_endings("m", ended("nonfinite", "failed", "empty", "stop"), max_new_tokens=96)
    assert [check.outcome for check in checks] == ["passed", "warned", "warned"]
    assert checks[1].sentence.startswith("1 of 4 answers (25.0%) to 'Which?' are empty")
    assert checks[2].sentence == (
        "1 of 4 answers broke off in NaN or infinity; train with smaller rates; 1 of 4 questions got no answer from "
        "the server; score again to ask them. They are unscored, and in no denominator."
    )


def test_nothing_asked_is_nothing_said() -> None:
    assert check_endings("m", {}, max_new_tokens=96) == []
