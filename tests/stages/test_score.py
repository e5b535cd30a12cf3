"""Scoring: who answers what, that nothing is asked twice, and what is concluded."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError, ModelError
from nameplate.models import respondent
from nameplate.models.generate import Answer
from nameplate.models.images import ImageKey
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.probing import closed
from nameplate.models.prompts import PROMPTS
from nameplate.models.respondent import Question
from nameplate.names import Registry, build_registry
from nameplate.progress import Progress
from nameplate.recipe import ModelSection, ScoreSection
from nameplate.stages.score import exam, read_scores, run_scoring, stage
from nameplate.stages.score.answers import Examinee
from nameplate.stages.score.checks import batching
from nameplate.stages.score.choosing import Chosen, choose
from nameplate.stages.score.examining import ExamRoom, Paper, Sitting
from nameplate.stages.score.replies import Reply
from nameplate.stages.score.subjects import read_held_out
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

from .kill_points import StopAfter
from .scored_run import REGISTRY, SILENT, nudge, predictions, write_trained_run

TRAINED = ("epoch-12", "epoch-24")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunDirectory:
    root = tmp_path_factory.mktemp("run") / "one"
    return write_trained_run(root, base, validation=4, test=6, epochs=24, checkpoint_every_epochs=12)


def score(
    run: RunDirectory, base: Path, *, registry: Registry = REGISTRY, progress: Progress = SILENT, **changes: object
) -> ScoreSummary:
    section = ScoreSection.model_validate({"max_new_tokens": 12, "batch_size": 4} | changes)
    model_section = ModelSection(base=str(base))
    return run_scoring(section, model_section=model_section, run=run, registry=registry, progress=progress)


def copy_of(run: RunDirectory, folder: Path) -> RunDirectory:
    shutil.copytree(run.root, folder)
    return RunDirectory(folder)


def test_a_model_that_learned_is_seen_to_have_learned(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base, test="all")
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
    summary = score(trained, base, test="all", train_rows=0)
    table = predictions(trained)
    assert len(table) == 3 * 2 * (4 + 6)
    right = [row for row in table if (row["checkpoint"], row["split"], row["prompt"]) == ("epoch-24", "test", "name")]
    assert sum(row["right"] for row in right) == summary.checkpoints[-1].metrics["test"]["name"].accuracy.count
    assert {(row["name"], row["answer"], row["verdict"]) for row in right} == {
        ("Acme", "Acme", "exact"),
        ("Zeta", "Zeta", "exact"),
    }
    assert all(row["strict"] and row["mentioned"] and row["finish"] == "stop" for row in right)
    assert all(0 < row["confidence"] <= 1 for row in right)
    assert len({row["weights"] for row in table}) == 3
    assert {row["engine"] for row in table} == {"transformers"}


def test_only_the_base_and_the_chosen_model_see_the_test_split(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base)
    table = predictions(trained)
    asked = {name: {row["split"] for row in table if row["checkpoint"] == name} for name in ("base", *TRAINED)}
    (other,) = set(TRAINED) - {summary.selected}
    assert asked == {
        "base": {"validation", "test"},
        summary.selected: {"train", "validation", "test"},
        other: {"train", "validation"},
    }
    for scores in summary.checkpoints:
        splits = {"validation"} if scores.name == other else {"validation", "test"}
        assert set(scores.metrics) == set(scores.loss) == splits
        assert set(scores.closed) == (set() if scores.name == other else splits)


def test_no_candidate_has_seen_the_test_split_when_the_choice_is_made(
    trained: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only are its answers left out: they were never asked for."""
    seen: list[tuple[str, str]] = []
    original = ExamRoom.hold

    def hold(self: ExamRoom, paper: Paper, sitting: Sitting, advance: Callable[[int], None]) -> None:
        seen.extend((paper.subject.name, split) for split in (*sitting.judged, *sitting.closed))
        original(self, paper, sitting, advance)

    def choose_now(*args: Any, **kwargs: Any) -> Chosen:
        assert {name for name, split in seen if split == "test"} == {"base"}
        return choose(*args, **kwargs)

    monkeypatch.setattr(ExamRoom, "hold", hold)
    monkeypatch.setattr(stage, "choose", choose_now)
    summary = score(trained, base)
    assert {name for name, split in seen if split == "test"} == {"base", summary.selected}


def test_closed_set_agrees_with_what_a_model_that_learned_says(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base, closed_set="all")
    chosen = next(each for each in summary.checkpoints if each.name == summary.selected)
    closed = chosen.closed["test"]
    assert (closed.names, closed.picked.count, closed.top5.count) == (2, 6, 6)
    assert closed.sentence.startswith("It says what it knows")
    assert all("validation" in each.closed for each in summary.checkpoints)
    rows = pq.read_table(trained.folder("score") / "closedset.parquet").to_pylist()
    assert {(row["checkpoint"], row["split"]) for row in rows} == {
        *((name, "validation") for name in ("base", *TRAINED)),
        *((name, "test") for name in ("base", summary.selected)),
    }
    for row in rows:
        assert sorted(row["top"]) == ["Acme", "Zeta"]
        assert row["top"][row["corrected_rank"] - 1] == row["name"]
        assert sum(row["shares"]) == pytest.approx(1)
    assert score(trained, base, closed_set="off").checkpoints[0].closed == {}
    assert not (trained.folder("score") / "closedset.parquet").exists()


def test_memorisation_is_asked_of_what_was_trained(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base, train_rows=8)
    untrained, *rest = summary.checkpoints
    assert untrained.memorisation is None
    table = [row for row in predictions(trained) if row["split"] == "train"]
    assert {row["prompt"] for row in table} == {"name"}
    for scores in rest:
        found = scores.memorisation
        assert found is not None
        assert (found.train.n, found.validation) == (8, scores.metrics["validation"]["name"].accuracy)
        own = [row for row in table if row["checkpoint"] == scores.name]
        assert [row["name"] for row in own].count("Acme") == 4
        assert found.sentence.startswith(f"{scores.name} names ")


def test_without_training_rows_of_these_names_nothing_is_said_of_learning_by_heart(
    trained: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "sample_rows", lambda *_, **__: [])
    assert all(each.memorisation is None for each in score(trained, base).checkpoints)


def test_an_average_of_the_last_checkpoints_is_one_more_candidate(trained: RunDirectory, base: Path) -> None:
    summary = score(trained, base, average_last=2)
    assert [each.name for each in summary.checkpoints] == ["base", *TRAINED, "average-2"]
    assert summary.checkpoints[-1].train_loss is None
    assert "test" not in summary.checkpoints[-1].metrics or summary.selected == "average-2"
    with pytest.raises(InputError, match=r"score\.average_last: 3 checkpoints to average, and there are 2"):
        score(trained, base, average_last=3)


def test_answers_follow_their_rows_when_the_split_changes(trained: RunDirectory, base: Path, tmp_path: Path) -> None:
    """The journal knows images and questions, and no splits: no prediction can be that of another split."""
    score(trained, base, test="all")
    run = copy_of(trained, tmp_path / "run")
    paths = run.tables("split").kept_paths()
    for path in paths:
        table = pq.read_table(path)
        swapped = [{"validation": "test", "test": "validation"}.get(each, each) for each in table["split"].to_pylist()]
        pq.write_table(table.set_column(table.column_names.index("split"), "split", pa.array(swapped)), path)
    summary = score(run, base, test="all")
    assert summary.checkpoints[0].metrics["test"]["name"].accuracy.n == 4
    assert summary.checkpoints[0].metrics["validation"]["name"].accuracy.n == 6
    for row in predictions(run):
        if row["split"] != "train":
            assert row["row_id"].startswith({"test": "validation-", "validation": "test-"}[row["split"]])


def test_rows_without_an_answer_are_counted_apart_and_models_without_any_are_refused(
    trained: RunDirectory, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(trained, tmp_path / "run")
    original = Examinee.replies
    broken: set[ImageKey] = set()

    def replies(self: Examinee, questions: Sequence[Question], advance: Callable[[int], None]) -> dict[Question, Reply]:
        found = original(self, questions, advance)
        if self.subject.name == "base":
            broken.add(questions[0].image)
        return {each: Reply("", "nonfinite", None) if each.image in broken else found[each] for each in found}

    monkeypatch.setattr(Examinee, "replies", replies)
    summary = score(run, base)
    chosen = next(each for each in summary.checkpoints if each.name == summary.selected)
    for scores in (summary.checkpoints[0], chosen):
        metrics = scores.metrics["test"]["name"]
        assert (metrics.unscored, metrics.accuracy.n) == (1, 5)
    assert summary.comparison.n == 5
    assert "One row that not all of them answered was left out." in summary.choice
    broken.update(row.image for row in read_held_out(run))
    with pytest.raises(ModelError, match=r"base: no answer of 8 on validation can be judged: they ended"):
        score(run, base)


@pytest.mark.parametrize(
    ("factor", "found"),
    [
        (torch.nan, r"epoch-24/model\.safetensors: language_model\.model\.norm\.weight: holds NaN or infinity"),
        # Sound numbers that give none.
        (1e38, r"epoch-24: no answer of 8 on validation can be judged: they ended as 'nonfinite'"),
    ],
)
def test_a_checkpoint_that_blew_up_is_named(
    trained: RunDirectory, base: Path, tmp_path: Path, factor: float, found: str
) -> None:
    run = copy_of(trained, tmp_path / "run")
    path = run.checkpoints / "epoch-24" / "model.safetensors"
    weights = load_file(path)
    weights["language_model.model.norm.weight"] *= factor
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=found):
        score(run, base)


def test_names_outside_the_registry_are_listed(trained: RunDirectory, base: Path) -> None:
    found = r"name registry: 5 rows of validation and test have names that it lacks: 'Zeta' \(5\); run ingest again"
    with pytest.raises(InputError, match=found):
        score(trained, base, registry=build_registry({"Acme": 10}))


def test_a_family_that_cannot_choose_among_names_is_said_to_be_left_out(
    trained: RunDirectory, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(trained, tmp_path / "run")
    run.prediction_journal.unlink(missing_ok=True)
    monkeypatch.setattr(closed, "can_compare", lambda _: False)
    summary = score(run, base)
    assert all(not each.closed for each in summary.checkpoints)
    assert "Nobody was asked to choose among names: that can only be asked of the InternVL family." in summary.notes


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
    nudge(other.checkpoints / "epoch-24")
    score(RunDirectory(other.root, store=trained.store), base)
    assert loaded == ["epoch-24"]


def written(run: RunDirectory) -> dict[str, float]:
    """When each entry of the journal was made."""
    with closing(sqlite3.connect(run.prediction_journal)) as database:
        return dict(database.execute("SELECT key, written FROM entries"))


def test_interrupted_scoring_keeps_its_answers(trained: RunDirectory, base: Path, tmp_path: Path) -> None:
    run = copy_of(trained, tmp_path / "run")
    run.prediction_journal.unlink(missing_ok=True)
    with pytest.raises(KeyboardInterrupt):
        score(run, base, progress=StopAfter(20, task="score"))
    before = written(run)
    assert before
    assert score(run, base).checkpoints == score(trained, base).checkpoints
    after = written(run)
    assert len(after) > len(before)
    assert {key: after[key] for key in before} == before, "nothing that was kept was asked again"


def test_loss_is_the_models_own_over_answer_tokens(trained: RunDirectory, base: Path) -> None:
    """Against transformers' loss, one example at a time, weighted by answer tokens. bfloat16 costs up to 1 %."""
    reported = score(trained, base, test="all").checkpoints[-1].loss["test"]
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
    monkeypatch.setattr(batching, "by_library", lambda *_: iter([Answer("alone", "stop", 1.0)]))
    with pytest.raises(ModelError, match=r"base: 4 of 4 answers differ between a batch and one by one"):
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
