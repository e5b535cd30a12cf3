"""Scoring: who answers what, that nothing is asked twice, and what is concluded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError, ModelError
from nameplate.models import respondent
from nameplate.models.generate import Answer
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.prompts import PROMPTS
from nameplate.names import Registry, build_registry
from nameplate.progress import SilentProgress
from nameplate.recipe import ComponentPolicy, ExamplesSection, MemorySection, ModelSection, ScoreSection, TrainSection
from nameplate.stages.score import answers, read_scores, run_scoring
from nameplate.stages.score.metrics import compare, metrics_of
from nameplate.stages.score.results import Prediction
from nameplate.stages.score.subjects import read_held_out
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

LEARNING = ComponentPolicy(mode="full", lr=1e-2)
REGISTRY: Registry = build_registry({"Acme": 10, "Zeta": 10})


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    """A run trained until it names red and blue apart."""
    run = write_tiny_run(tmp_path_factory.mktemp("run") / "one", test=6)
    section = TrainSection(
        vision=LEARNING,
        projector=LEARNING,
        language=LEARNING,
        epochs=24,
        checkpoint_every_epochs=12,
        batch_size=6,
        memory=MemorySection(micro_batch_size=6),
        examples=ExamplesSection(name_question_share=0.7),
    )
    run_training(section, model_section=ModelSection(base=str(base)), run=run, progress=SilentProgress())
    return run


def score(run: RunDirectory, base: Path, **changes: object) -> ScoreSummary:
    section = ScoreSection.model_validate({"max_new_tokens": 12, "batch_size": 4} | changes)
    model_section = ModelSection(base=str(base))
    return run_scoring(section, model_section=model_section, run=run, registry=REGISTRY, progress=SilentProgress())


def copy_of(run: RunDirectory, folder: Path) -> RunDirectory:
    shutil.copytree(run.root, folder)
    return RunDirectory(folder)


def test_a_model_that_learned_is_seen_to_have_learned(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base)
    assert [each.name for each in summary.checkpoints] == ["base", "epoch-12", "epoch-24"]
    untrained, last = summary.checkpoints[0], summary.checkpoints[-1]
    assert untrained.train_loss is None
    assert last.train_loss is not None
    assert untrained.metrics["test"]["name"].accuracy.count == 0
    assert last.metrics["test"]["name"].accuracy.count == 6
    assert last.loss["test"] < 0.5 * untrained.loss["test"]
    assert summary.comparison.fixed == 6
    assert summary.comparison.outcome == "better"
    assert summary.comparison.p_value == pytest.approx(2 / 64)
    assert [(each.name, each.train, each.test, each.before, each.after) for each in summary.names] == [
        ("Acme", 6, 3, 0, 3),
        ("Zeta", 6, 3, 0, 3),
    ]
    assert read_scores(trained) == summary
    for checkpoint in summary.checkpoints:
        for metrics in (metrics for split in checkpoint.metrics.values() for metrics in split.values()):
            parts = (metrics.accuracy, metrics.wrong_name, metrics.no_name)
            assert sum(part.count for part in parts) == metrics.accuracy.n


def test_predictions_table_has_every_answer(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base)
    table = pq.read_table(trained.folder("score") / "predictions.parquet").to_pylist()
    assert len(table) == 3 * 2 * (4 + 6)
    right = [row for row in table if (row["checkpoint"], row["split"], row["prompt"]) == ("epoch-24", "test", "name")]
    assert sum(row["right"] for row in right) == summary.checkpoints[-1].metrics["test"]["name"].accuracy.count
    assert {(row["name"], row["answer"], row["verdict"]) for row in right} == {
        ("Acme", "Acme", "exact"),
        ("Zeta", "Zeta", "exact"),
    }


def test_nothing_is_asked_twice(
    trained: RunDirectory, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(trained, base)
    loaded: list[str] = []

    def load(folder: str, *, dtype: torch.dtype) -> LoadedModel:
        loaded.append(Path(folder).name)
        return load_model(folder, dtype=dtype)

    monkeypatch.setattr(respondent, "load_model", load)
    assert score(trained, base) == first
    assert loaded == []
    # Another run with the same store asks only its own checkpoints, never the base again.
    other = copy_of(trained, tmp_path / "other")
    shutil.rmtree(other.checkpoints / "epoch-12")
    _nudge(other.checkpoints / "epoch-24")
    score(RunDirectory(other.root, store=trained.store), base)
    assert loaded == ["epoch-24"]


def test_interrupted_scoring_keeps_its_answers(
    trained: RunDirectory, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(trained, tmp_path / "run")
    run.prediction_journal.unlink(missing_ok=True)
    calls: list[int] = []
    original = respondent.answer

    def stop_at_fifth(
        loaded: LoadedModel, features: torch.Tensor, prompts: Sequence[str], *, max_new_tokens: int
    ) -> list[Answer]:
        if len(prompts) == 4:
            calls.append(len(prompts))
            if len(calls) == 3:
                raise KeyboardInterrupt
        return original(loaded, features, prompts, max_new_tokens=max_new_tokens)

    monkeypatch.setattr(respondent, "answer", stop_at_fifth)
    with pytest.raises(KeyboardInterrupt):
        score(run, base)
    monkeypatch.setattr(respondent, "answer", original)
    assert score(run, base) == score(trained, base)


def test_loss_is_the_models_own_over_answer_tokens(trained: RunDirectory, base: Path) -> None:
    """Against transformers' loss, one example at a time, weighted by answer tokens. bfloat16 costs up to 1 %."""
    reported = score(trained, base).checkpoints[-1].loss["test"]
    loaded = load_model(str(trained.checkpoints / "epoch-24"))
    total, tokens = 0.0, 0
    for row in (row for row in read_held_out(trained) if row.split == "test"):
        prepared = loaded.processor.prepare(trained.images.read(*row.image))
        pixels = loaded.processor.batch([prepared]).merged()["pixel_values"]
        for prompt, answer in (("detail", row.caption), ("name", row.name)):
            encoded = loaded.processor.encode(PROMPTS[prompt], answer)  # type: ignore[index]  # both are prompt names
            labels = torch.tensor([encoded.labels])
            with torch.no_grad():
                output = loaded.model(input_ids=torch.tensor([encoded.input_ids]), pixel_values=pixels, labels=labels)
            count = int((labels != -100).sum())
            total += float(output.loss) * count
            tokens += count
    assert reported == pytest.approx(total / tokens, rel=0.02)


def test_model_that_answers_otherwise_in_a_batch_is_refused(
    trained: RunDirectory, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(trained, tmp_path / "run")
    run.prediction_journal.unlink()
    monkeypatch.setattr(answers, "generate", lambda _, __, prompts, **___: [str(len(prompts))] * len(prompts))
    with pytest.raises(ModelError, match=r"base: 8 of 8 answers differ between a batch and one by one"):
        score(run, base)


def test_checkpoint_with_the_weights_of_another_is_refused(trained: RunDirectory, base: Path, tmp_path: Path) -> None:
    run = copy_of(trained, tmp_path / "run")
    shutil.copy(run.checkpoints / "epoch-12" / "model.safetensors", run.checkpoints / "epoch-24" / "model.safetensors")
    with pytest.raises(ModelError, match=r"epoch-24: has exactly the weights of epoch-12"):
        score(run, base)


def test_no_checkpoint_and_empty_splits_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint; run train first"):
        score(write_tiny_run(tmp_path / "a"), base)
    with pytest.raises(InputError, match=r"no rows in test; raise split\.test"):
        score(write_tiny_run(tmp_path / "b", test=0), base)


def predictions(right: Sequence[bool], *, checkpoint: str = "base", verdict: str = "absent") -> list[Prediction]:
    return [
        Prediction(
            checkpoint=checkpoint,
            epoch=0,
            split="test",
            row_id=str(place),
            image_sha256="",
            name="Acme" if place % 4 else "Zeta",
            prompt="name",
            answer="",
            verdict="exact" if yes else verdict,
            right=yes,
        )
        for place, yes in enumerate(right)
    ]


def test_metrics_keep_wrong_names_and_no_names_apart() -> None:
    metrics = metrics_of(predictions([True, True, False, True]) + predictions([False] * 4, verdict="other_name"))
    assert [metrics.accuracy.count, metrics.wrong_name.count, metrics.no_name.count] == [3, 4, 1]
    # Zeta 1 of 2, Acme 2 of 6.
    assert metrics.macro_accuracy == pytest.approx((1 / 2 + 2 / 6) / 2)
    assert metrics.num_names == 2
    assert metrics.accuracy.low < 3 / 8 < metrics.accuracy.high


@pytest.mark.parametrize(
    ("gained", "lost", "outcome", "begins"),
    [
        (20, 4, "better", "Better: epoch-05 names 26 of 100 test images right (26.0%), base 10 (10.0%); 20 became"),
        (4, 9, "tie", "A tie: epoch-05 names 5 of 100 test images right"),
        (0, 9, "worse", "Worse: epoch-05 names 1 of 100 test images right"),
    ],
)
def test_comparison_says_in_words_what_it_found(gained: int, lost: int, outcome: str, begins: str) -> None:
    before = predictions([place < 10 for place in range(100)])
    after = predictions([lost <= place < 10 + gained for place in range(100)], checkpoint="epoch-05")
    comparison = compare(before, after)
    assert (comparison.fixed, comparison.regressed, comparison.outcome) == (gained, lost, outcome)
    assert comparison.sentence.startswith(begins)
    assert comparison.low <= comparison.difference <= comparison.high


def _nudge(folder: Path) -> None:
    loaded = load_model(str(folder))
    with torch.no_grad():
        next(loaded.model.parameters()).add_(0.01)
    loaded.model.save_pretrained(folder)
