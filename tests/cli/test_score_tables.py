"""Scores as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from tests.stages.said import said

from nameplate.cli.score_tables import print_scores
from nameplate.records import SplitName
from nameplate.stages.score.metrics import compare, metrics_of, proportion
from nameplate.stages.score.results import Prediction
from nameplate.summary import CheckpointScores, ClosedScores, ScoreSummary, SelfCheck

CHOSEN = "epoch-05"
CLOSED = ClosedScores(
    names=24,
    top1=proportion(80, 100),
    top5=proportion(99, 100),
    corrected_top1=proportion(50, 100),
    corrected_top5=proportion(60, 100),
    by="likelihood",
)


def answers(model: str, right: int, split: SplitName, *, finish: str = "stop") -> list[Prediction]:
    return said([place < right for place in range(1000)], checkpoint=model, split=split, finish=finish)


def scores(
    name: str, answered: Mapping[SplitName, Sequence[Prediction]], closed: ClosedScores | None = None
) -> CheckpointScores:
    return CheckpointScores(
        name=name,
        epoch=int(name[-2:]) if name != "base" else 0,
        train_loss=None,
        loss={},
        metrics={split: {"name": metrics_of(own)} for split, own in answered.items()},
        closed={"test": closed} if closed is not None else {},
    )


def summary(closed: ClosedScores | None = None, finish: str = "stop") -> ScoreSummary:
    before, after = answers("base", 110, "test"), answers(CHOSEN, 370, "test")
    return ScoreSummary(
        headline="name",
        checkpoints=[
            scores("base", {"validation": answers("base", 100, "validation"), "test": before}),
            scores(CHOSEN, {"validation": answers(CHOSEN, 380, "validation"), "test": after}, closed),
            scores("epoch-10", {"validation": answers("epoch-10", 381, "validation", finish=finish)}),
        ],
        selected=CHOSEN,
        comparison=compare(before, after),
        names=[],
        questions={"name": "Which brand is [this] product?"},
        notes=["The test split is odd."],
        checks=[
            SelfCheck(kind="empty", model=CHOSEN, outcome="warned", sentence="Half are empty."),
            SelfCheck(kind="empty", model="base", outcome="passed", sentence="None is empty."),
        ],
    )


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    print_scores(summary(CLOSED))
    return capsys.readouterr().out.splitlines()


def cells(lines: list[str], start: str) -> list[list[str]]:
    return [line.split() for line in lines if line.strip().startswith(start)]


def test_every_model_stands_under_the_split_that_it_answered(printed: list[str]) -> None:
    assert printed[0] == 'asked "Which brand is [this] product?"'
    heads = cells(printed, "validation ") + cells(printed, "test ")
    assert [head[0] for head in heads] == ["validation", "test"]
    assert [line.split()[0] for line in printed if "%" in line and line.split()[0] in ("base", CHOSEN, "epoch-10")][
        :5
    ] == ["base", CHOSEN, "epoch-10", "base", CHOSEN]
    (validation, test) = [line for line in cells(printed, CHOSEN) if line[1] == "*"]
    assert validation[2:6] == ["38.0%", "(35", "to", "41)"]
    assert test[2] == "37.0%"
    assert test[-2:] == ["80%", "99%"], "the ranking that validation decided for"


def test_nothing_is_cut_off_in_a_terminal_of_80_columns(printed: list[str]) -> None:
    assert max(map(len, printed)) <= 80
    assert not any("\u2026" in line for line in printed)


def test_what_must_be_known_stands_below(printed: list[str]) -> None:
    text = " ".join(printed)
    for sentence in ("Better: epoch-05 names 370 of 1000", "The test split is odd.", "epoch-05: Half are empty."):
        assert sentence in text
    assert "None is empty" not in text
    assert "choosing among all 24 names" in " ".join(text.split())


def test_columns_that_say_nothing_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(summary())
    out = capsys.readouterr().out
    assert not any(word in out.split() for word in ("pick", "cut", "lost"))
    print_scores(summary(finish="length"))
    assert "cut: stopped by the token limit" in " ".join(capsys.readouterr().out.split())
    print_scores(summary(finish="failed"))
    assert "lost: rows without an answer" in " ".join(capsys.readouterr().out.split())


def test_scores_of_older_versions_are_shown_as_far_as_they_go(capsys: pytest.CaptureFixture[str]) -> None:
    score = summary()
    unknown = {"strict": None, "mention_any": None, "cut_off": None, "macro_low": None, "macro_high": None}
    old = [
        each.model_copy(
            update={
                "metrics": {
                    split: {prompt: metrics.model_copy(update=unknown) for prompt, metrics in own.items()}
                    for split, own in each.metrics.items()
                }
            }
        )
        for each in score.checkpoints
    ]
    print_scores(score.model_copy(update={"checkpoints": old, "notes": [], "checks": [], "questions": {}}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'asked "name"'
    assert all("-" in line for line in lines if line.strip().startswith("base"))
