"""Looks at a test set are counted in the store, whoever looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from nameplate.models.images import ImageKey
from nameplate.stages.score.looks import in_words, note_looks
from nameplate.stages.score.metrics import proportion
from nameplate.stages.score.subjects import EvaluationRow, Subject
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Look
from nameplate.summary import TestLooks as Looks

ROWS = [EvaluationRow(f"r{place}", "test", "Acme", "", ImageKey(f"{place:064x}", "png")) for place in range(5)]
REACHED = proportion(222, 600)


def subject(name: str, weights: str) -> Subject:
    return Subject(name, 1, Path(), weights, None)


def looked(run: RunDirectory, *subjects: Subject, rows: list[EvaluationRow] = ROWS) -> Looks:
    return note_looks(run, subjects, rows, reached=REACHED)


def names(found: Looks) -> list[tuple[str, str]]:
    return [(look.run, look.checkpoint) for look in found.looks]


BASE = subject("base", "w0")


def test_runs_that_share_a_store_and_a_test_set_count_together(tmp_path: Path) -> None:
    one, other = (RunDirectory(tmp_path / name, store=tmp_path / "store") for name in ("one", "other"))
    first = looked(one, BASE, subject("epoch-10", "w1"))
    assert names(first) == [("one", "base"), ("one", "epoch-10")]
    second = looked(other, BASE, subject("epoch-20", "w2"))
    # The base is the same model: its first look stands.
    assert names(second) == [("one", "base"), ("one", "epoch-10"), ("other", "epoch-20")]
    assert "2 trained models of 2 runs (1 of them of this one)" in second.sentence
    alone = RunDirectory(tmp_path / "alone")
    assert names(looked(alone, subject("epoch-10", "w1"))) == [("alone", "epoch-10")]


def test_the_same_weights_are_no_new_look(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    first = looked(run, BASE, subject("epoch-10", "w1"))
    assert looked(run, BASE, subject("epoch-10", "w1")) == first
    trained_again = looked(run, BASE, subject("epoch-10", "w2"))
    assert len(trained_again.looks) == 3


def test_other_rows_or_other_images_are_another_test_set(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    looked(run, subject("epoch-10", "w1"))
    other_image = [*ROWS[1:], EvaluationRow("r0", "test", "Acme", "", ImageKey("f" * 64, "png"))]
    for rows in (ROWS[1:], other_image):
        assert len(looked(run, subject("epoch-10", "w2"), rows=rows).looks) == 1
    # Another order is the same set.
    assert len(looked(run, subject("epoch-10", "w2"), rows=ROWS[::-1]).looks) == 2


def test_half_a_line_loses_no_other_look(tmp_path: Path) -> None:
    """A process that is killed while it writes."""
    run = RunDirectory(tmp_path / "run")
    looked(run, BASE, subject("epoch-10", "w1"))
    (path,) = run.test_looks.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])
    found = looked(run, subject("epoch-20", "w2"))
    assert names(found) == [("run", "base"), ("run", "epoch-20")]
    assert names(looked(run)) == names(found)


def look(run: str, checkpoint: str) -> Look:
    return Look(when="2026-01-01T00:00:00+00:00", run=run, checkpoint=checkpoint, weights=run + checkpoint)


@pytest.mark.parametrize(
    ("count", "points", "is_much"),
    # The best of 4 at 37 % of 600: 2.0 points when they are independent (the experiment's own choice).
    [(2, "1.1", False), (3, "1.7", False), (4, "2.0", True), (20, "3.7", True)],
)
def test_many_looks_are_said_to_flatter_whoever_picks_by_them(count: int, points: str, is_much: bool) -> None:
    looks = [look("a", "base"), *(look("a", f"epoch-{place:02d}") for place in range(count))]
    sentence = in_words(looks, run="a", reached=REACHED)
    assert sentence.startswith(f"This test set was read for {count} trained models. No checkpoint was chosen by it")
    assert f"up to {points} points with 600 images" in sentence
    assert ("take fresh test rows" in sentence) is is_much


def test_one_look_needs_no_warning() -> None:
    sentence = in_words([look("a", "base"), look("a", "epoch-10")], run="a", reached=REACHED)
    assert sentence == "This test set was read for one trained model alone: what it says of that model is what it is."
