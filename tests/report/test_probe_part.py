"""The page's section on the probe: it says whether the advice was followed and borne out."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_run import FinishedRun, build_run
from tests.stages.probe_figures import HOSTILE, summary_of

from nameplate.report.probe import build_probe
from nameplate.stages.probe.results import Advice, ProbeSummary
from nameplate.store.files import write_text
from nameplate.store.manifest import StageRecord


@pytest.fixture
def probed(finished_run: FinishedRun, tmp_path: Path) -> FinishedRun:
    """A run of its own, whose split is known to the manifest."""
    finished = build_run(tmp_path / "run")
    finished.run.manifest.put("split", StageRecord(fingerprint="one", status="done"))
    return finished


def write(finished: FinishedRun, found: ProbeSummary) -> None:
    write_text(finished.run.probe_path, found.model_dump_json())


def test_a_run_without_a_probe_has_no_section(page: str) -> None:
    assert 'id="probe"' not in page
    assert "#probe" not in page


def test_the_section_shows_the_advice_and_escapes_what_models_say(probed: FinishedRun) -> None:
    write(probed, summary_of(0.1))
    page = probed.render()
    assert 'href="#probe"' in page
    section = page[page.index('<section id="probe"') : page.index('<section id="curves"')]
    assert "Thaw the language side" in section
    assert "The eye separates 90 %" in section
    assert HOSTILE not in section
    assert section.count("<tr>") >= 4 + 8 + 7 + 1


def test_a_probe_of_another_split_is_not_shown(probed: FinishedRun) -> None:
    write(probed, summary_of(0.1, split="another"))
    assert build_probe(probed.summary, probed.run) is None


def test_a_probe_by_another_version_is_not_shown(probed: FinishedRun) -> None:
    write_text(probed.run.probe_path, '{"nameplate": "9"}')
    assert build_probe(probed.summary, probed.run) is None


def words(finished: FinishedRun, found: ProbeSummary) -> str:
    write(finished, found)
    built = build_probe(finished.summary, finished.run)
    assert built is not None
    return built.after


def trained(finished: FinishedRun, *components: str) -> FinishedRun:
    train = finished.summary.train
    rows = [
        row.model_copy(update={"trainable": row.parameters if row.component in components else 0})
        for row in train.components
    ]
    changed = finished.summary.model_copy(update={"train": train.model_copy(update={"components": rows})})
    return FinishedRun(finished.run, changed, finished.predictions)


def test_training_bears_the_advice_out_or_contradicts_it(probed: FinishedRun) -> None:
    followed = trained(probed, "projector", "language")
    assert "the advice is borne out" in words(followed, summary_of(0.05))
    ignored = trained(probed, "vision", "projector")
    assert "not put to the test" in words(ignored, summary_of(0.05))
    poor = summary_of(0.99, eye=1.0, projector=0.5)
    assert poor.advice is Advice.THAW_PROJECTOR
    said = words(trained(probed, "projector"), poor)
    assert "the advice is contradicted" in said, said
    assert "This run trained projector" in said
