"""Curves: what was not asked is not drawn, what is no moment of the training stands apart."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from report_run import FinishedRun, proportion

from nameplate.report.charts import accuracy_figure, curves, is_average, loss_figure, support_figure, ways_figure
from nameplate.report.drawing import Figure
from nameplate.summary import CheckpointScores, ClosedScores, Memorisation, Metrics, ScoreSummary


def metrics(right: int, *, strict: int | None = None) -> Metrics:
    return Metrics(
        accuracy=proportion(right, 100), wrong_name=proportion(0, 100), no_name=proportion(100 - right, 100),
        macro_accuracy=right / 100, num_names=4, strict=proportion(strict, 100) if strict is not None else None,
    )  # fmt: skip


def model(name: str, epoch: int, right: int, *, test: int | None = None, train: int | None = None) -> CheckpointScores:
    validation = proportion(right, 100)
    closed = ClosedScores(
        names=4, top1=validation, top5=validation, corrected_top1=validation, corrected_top5=validation
    )
    return CheckpointScores(
        name=name, epoch=epoch, train_loss=None, loss={"validation": 3.0 / (epoch + 1)},
        metrics={"validation": {"name": metrics(right, strict=right - 2)}}
        | ({"test": {"name": metrics(test)}} if test is not None else {}),
        closed={"validation": closed},
        memorisation=None if train is None else Memorisation(
            train=proportion(train, 100), validation=validation, gap=0.1, low=0.0, high=0.2, sentence="s"
        ),
    )  # fmt: skip


@pytest.fixture
def score(finished_run: FinishedRun) -> ScoreSummary:
    models = [
        model("base", 0, 5, test=6),
        model("epoch-01", 1, 40, train=50),
        model("epoch-02", 2, 60, test=58, train=80),
        model("epoch-03", 3, 61, train=90),
        model("average-02", 3, 63, train=85),
    ]
    return finished_run.summary.score.model_copy(update={"checkpoints": models, "selected": "epoch-02"})


def drawn(figure: Figure, kind: str) -> set[tuple[str, str]]:
    """(model, what) of the rows of one kind, wherever they stand in the spec."""
    found: set[tuple[str, str]] = set()

    def walk(tree: Any) -> None:
        if isinstance(tree, dict):
            if tree.get("kind") == kind:
                found.add((tree["model"], tree["what"]))
            for value in tree.values():
                walk(value)
        elif isinstance(tree, list):
            for item in tree:
                walk(item)

    walk(figure.spec)
    return found


def test_an_unread_test_split_is_dots_and_never_a_line(score: ScoreSummary) -> None:
    figure = accuracy_figure(score, "name")
    assert drawn(figure, "dots") == {("base", "test"), ("epoch-02", "test")}
    assert drawn(figure, "line") == {
        *((name, "validation") for name in ("base", "epoch-01", "epoch-02", "epoch-03")),
        *((name, "training rows") for name in ("epoch-01", "epoch-02", "epoch-03")),
    }


def test_a_test_split_that_all_looked_at_is_a_line(finished_run: FinishedRun) -> None:
    figure = accuracy_figure(finished_run.summary.score, "name")
    assert drawn(figure, "dots") == set()
    assert {what for _, what in drawn(figure, "line")} == {"validation", "test", "training rows"}


def test_an_average_stands_apart_from_the_epochs(score: ScoreSummary) -> None:
    assert [is_average(each) for each in score.checkpoints] == [False, False, False, False, True]
    figure = accuracy_figure(score, "name")
    assert drawn(figure, "apart") == {("average-02", "validation"), ("average-02", "training rows")}
    assert "average-02 63.0\N{NO-BREAK SPACE}%" in figure.label
    assert "Diamonds" in figure.caption
    texts = [element.text for element in ElementTree.fromstring(figure.svg).iter("text")]
    assert [text for text in texts if text and text.isdigit()] == ["0", "1", "2", "3"]
    assert "average" not in loss_figure(score, _train()).label


def test_every_way_to_count_is_a_curve_of_validation(score: ScoreSummary) -> None:
    figure = ways_figure(score)
    assert figure is not None
    assert [key.words for key in figure.keys] == [
        "the name and nothing else", "the name and no other", "picked of all names",
    ]  # fmt: skip
    assert "the name and nothing else: epoch 0 3.0\N{NO-BREAK SPACE}%, epoch 1 38.0" in figure.label


def test_scores_of_an_older_version_have_the_old_curves(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    old = [
        each.model_copy(
            update={
                "closed": {}, "memorisation": None,
                "metrics": {
                    split: {
                        prompt: own.model_copy(update={"strict": None, "mention_any": None})
                        for prompt, own in asked.items()
                    }
                    for split, asked in each.metrics.items()
                },
            }
        )
        for each in score.checkpoints
    ]  # fmt: skip
    score = score.model_copy(update={"checkpoints": old})
    assert ways_figure(score) is None
    assert [figure.stem for figure in curves(score, finished_run.summary.train)] == [
        "accuracy-name", "accuracy-detail", "loss",
    ]  # fmt: skip


def test_one_checkpoint_and_no_names_can_be_drawn(score: ScoreSummary) -> None:
    few = score.model_copy(update={"checkpoints": score.checkpoints[:2], "selected": "epoch-01", "names": []})
    for figure in [*curves(few, _train()), support_figure([])]:
        assert ElementTree.fromstring(figure.svg).get("viewBox")


def _train() -> Any:
    from nameplate.summary import TrainSummary

    return TrainSummary(
        components=[], steps=1, epochs=1, examples=1, losses=[(0.5, 2.0), (1.0, 1.0)], seconds=1.0, supervised_tokens=1
    )
