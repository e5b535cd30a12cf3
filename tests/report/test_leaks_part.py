"""The page's section on leaks: there when the audit is of this split, with pairs, pictures and both scores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_run import HOSTILE, FinishedRun, build_run

from nameplate.progress import SilentProgress
from nameplate.report.leaks import SHOWN, build_leaks
from nameplate.stages.leaks import LeakChoices, LeakSummary, run_leaks
from nameplate.store.manifest import StageRecord
from nameplate.store.rundir import RunDirectory


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run whose pictures are a few, so that many rows share one; it is scored."""
    finished = build_run(tmp_path_factory.mktemp("leaks") / "run")
    run = finished.run
    (run.folder("score") / "scores.json").write_text(finished.summary.score.model_dump_json(), encoding="utf-8")
    for stage in ("split", "score"):
        run.manifest.put(stage, StageRecord(fingerprint=f"of {stage}", status="done"))
    return finished


@pytest.fixture
def found(finished: FinishedRun) -> Iterator[LeakSummary]:
    yield run_leaks(LeakChoices(), run=finished.run, split="of split", progress=SilentProgress())
    shutil.rmtree(finished.run.leaks_path.parent)


def test_without_an_audit_there_is_no_section(finished: FinishedRun) -> None:
    assert build_leaks(finished.run) is None
    assert '<section id="leaks"' not in finished.render()


def test_the_section_shows_counts_pairs_and_both_scores(finished: FinishedRun, found: LeakSummary) -> None:
    assert found.exit_code == 1
    section = finished.render().split('<section id="leaks"')[1].split("</section>")[0]
    assert found.sentence in section
    assert "same image" in section
    assert "without the leaked" in section
    assert found.scored is not None
    assert found.scored.sentences[0] in section
    leaks = build_leaks(finished.run)
    assert leaks is not None
    assert len(leaks.pairs) == SHOWN
    assert section.count('<li class="leak-pair leak">') == sum(pair.level == "leak" for pair in leaks.pairs)
    assert all(side.picture is not None for pair in leaks.pairs for side in pair.sides)
    assert section.count("<img ") == 2 * SHOWN
    assert section.count('alt="') == 2 * SHOWN


def test_names_captions_and_titles_are_escaped(finished: FinishedRun, found: LeakSummary) -> None:
    hostile = [
        each.model_copy(update={"names": (HOSTILE, HOSTILE), "titles": (HOSTILE, "")}) for each in found.examples
    ]
    path = finished.run.leaks_path
    path.write_text(found.model_copy(update={"examples": hostile}).model_dump_json(), encoding="utf-8")
    section = finished.render().split('<section id="leaks"')[1].split("</section>")[0]
    assert "<script" not in section
    assert "&lt;script&gt;" in section


@pytest.mark.parametrize("content", ["{}", "no json", '{"split": 3}'])
def test_an_audit_that_cannot_be_read_is_left_out(finished: FinishedRun, found: LeakSummary, content: str) -> None:
    finished.run.leaks_path.write_text(content, encoding="utf-8")
    assert build_leaks(finished.run) is None


def test_an_audit_of_another_split_is_left_out(finished: FinishedRun, found: LeakSummary) -> None:
    path = finished.run.leaks_path
    path.write_text(found.model_copy(update={"split": "another"}).model_dump_json(), encoding="utf-8")
    assert build_leaks(finished.run) is None


def test_a_split_that_was_never_done_has_no_section(tmp_path: Path) -> None:
    assert build_leaks(RunDirectory(tmp_path)) is None
