"""A sweep from its page to its leaderboard, for real and in small; its trials run in this process to save imports."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest

from nameplate.errors import InputError, NameplateError, RunDirectoryError
from nameplate.progress import Progress, SilentProgress
from nameplate.records import STAGES
from nameplate.statistics import mcnemar_exact, wilson
from nameplate.store.manifest import Manifest
from nameplate.sweep.children import Ended, Started
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.members import plan_sweep
from nameplate.sweep.results import Failure, FailureKind, Standing, SweepSummary
from nameplate.sweep.run import run_sweep
from nameplate.sweep.trial import run_job

from .tiny_sweep import MEMBERS, write_page, write_sweep

SHARED = STAGES[: STAGES.index("train")]
MORE = {**MEMBERS, "broken": {"train.vision.lr": 1e30, "train.projector.lr": 1e30}}


@dataclass
class Here:
    """Runs trials in this process, and remembers which."""

    ran: list[str]

    def __call__(self, trials: Sequence[Started], *, jobs: int, progress: Progress) -> Generator[Ended, None, None]:
        for trial in trials:
            self.ran.append(trial.name)
            try:
                run_job(trial.job, progress)
                yield Ended(trial.name, None)
            except NameplateError as error:
                yield Ended(trial.name, Failure(kind=FailureKind.ERROR, text=str(error)))


@dataclass
class Swept:
    """A finished sweep."""

    page: Path
    folder: SweepFolder
    summary: SweepSummary
    ran: list[str]


def sweep(page: Path, root: Path, **options: Any) -> Swept:
    here, folder = Here([]), SweepFolder(root)
    planned = plan_sweep(page, **options)
    summary = run_sweep(planned, folder, jobs=1, progress=SilentProgress(), command="again", runner=here)
    return Swept(page, folder, summary, here.ran)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    folder = tmp_path_factory.mktemp("sweep")
    return sweep(write_sweep(folder, members=MORE), folder / "swept")


def test_a_member_that_fails_is_recorded_with_its_reason_and_the_others_go_on(swept: Swept) -> None:
    standing = {row.member: row.trials[0].standing for row in swept.summary.rows}
    assert standing.pop("broken") is Standing.FAILED
    assert set(standing.values()) == {Standing.DONE}
    (failed,) = [row for row in swept.summary.rows if row.member == "broken"]
    assert failed is swept.summary.rows[-1]
    assert failed.trials[0].failure is not None
    assert "the loss is" in failed.trials[0].failure.text or "weights" in failed.trials[0].failure.text
    assert swept.summary.num_failed == 1


def test_what_comes_before_training_is_done_once_and_lies_on_disk_once(swept: Swept) -> None:
    (data,) = (swept.folder.root / "data").iterdir()
    for stage in SHARED:
        for shard in (data / stage).glob("*.parquet"):
            assert shard.stat().st_nlink == 1 + len(MORE), f"{stage} was made again"
    for run in (swept.folder.root / "runs").iterdir():
        taken, made = Manifest(run / "manifest.json").stages, Manifest(data / "manifest.json").stages
        assert {stage: taken[stage] for stage in SHARED} == made


def test_the_leaderboard_agrees_with_the_runs_and_with_what_they_answered(swept: Swept) -> None:
    answers = {name: answers_of(swept, name) for name in MEMBERS}
    compared = [name for name in MEMBERS if name != "eye"]
    assert swept.summary.reference == "eye"
    assert swept.summary.num_compared == len(compared)
    for row in swept.summary.rows:
        if row.member == "broken":
            continue
        assert row.test is not None
        share = wilson(sum(answers[row.member].values()), len(answers[row.member]))
        assert (row.test.count, row.test.n, row.test.low, row.test.high) == (
            share.count, share.n, pytest.approx(share.low), pytest.approx(share.high),
        )  # fmt: skip
        run = json.loads((swept.folder.root / row.trials[0].folder / "summary.json").read_text(encoding="utf-8"))
        assert [part.trainable for part in row.parts] == [part["trainable"] for part in run["train"]["components"]]
        assert row.trials[0].train_seconds == run["stages"]["train"]["seconds"]
        assert row.trials[0].peak_memory_bytes == run["stages"]["train"]["peak_memory_bytes"]
        if row.member == "eye":
            assert row.comparison is None
            continue
        assert row.comparison is not None
        eye, own = answers["eye"], answers[row.member]
        fixed, regressed = sum(own[r] > eye[r] for r in eye), sum(own[r] < eye[r] for r in eye)
        assert (row.comparison.fixed, row.comparison.regressed) == (fixed, regressed)
        assert row.comparison.p_value == pytest.approx(mcnemar_exact(fixed, regressed))
        assert row.comparison.p_value <= row.comparison.adjusted <= len(compared) * row.comparison.p_value


def answers_of(swept: Swept, name: str) -> dict[str, bool]:
    folder = swept.folder.root / "runs" / f"{name}-seed-0"
    selected = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["score"]["selected"]
    rows = pq.read_table(folder / "score" / "predictions.parquet").to_pylist()
    return {
        row["row_id"]: row["right"]
        for row in rows
        if (row["checkpoint"], row["split"], row["prompt"]) == (selected, "test", "name")
    }


def test_the_choice_is_made_on_validation_and_every_look_at_the_test_is_counted(swept: Swept) -> None:
    done = [row for row in swept.summary.rows if row.validation is not None]
    best = max(done, key=lambda row: (row.validation.value if row.validation else 0, -row.trainable))
    assert swept.summary.chosen == best.member
    assert [row.validation for row in done] == sorted(
        (row.validation for row in done), key=lambda share: -share.value if share else 0
    )
    assert swept.summary.looks == sum(trial.looks for row in done for trial in row.trials) == len(done)
    assert any(f"The test split was read {len(done)} times" in note for note in swept.summary.notes)


def test_the_page_links_to_every_report_and_json_is_what_was_returned(swept: Swept) -> None:
    page = swept.folder.page_path.read_text(encoding="utf-8")
    for name in MEMBERS:
        link = f"runs/{name}-seed-0/report.html"
        assert f'href="{link}"' in page
        assert (swept.folder.root / unquote(link)).exists()
    assert "runs/broken-seed-0/report.html" not in page
    read = SweepSummary.model_validate_json(swept.folder.summary_path.read_bytes())
    assert read == swept.summary


def test_again_only_what_failed_is_tried_and_a_new_member_needs_no_new_data(swept: Swept) -> None:
    before = {run.name: (run / "manifest.json").read_bytes() for run in (swept.folder.root / "runs").iterdir()}
    del before["broken-seed-0"]
    again = sweep(swept.page, swept.folder.root)
    assert again.ran == ["broken-seed-0"]
    members = {**MEMBERS, "late": {"train.vision": "last-1"}}
    more = sweep(write_page(swept.page.parent, members=members), swept.folder.root)
    assert more.ran == ["late-seed-0"]
    assert more.summary.num_failed == 0
    assert {name: (swept.folder.root / "runs" / name / "manifest.json").read_bytes() for name in before} == before
    assert len(list((swept.folder.root / "data").iterdir())) == 1
    write_page(swept.page.parent, members=MORE)


def test_a_changed_member_is_waiting_and_shows_nothing_old(swept: Swept) -> None:
    class Stopped(Exception):
        pass

    def stop(trials: Sequence[Started], *, jobs: int, progress: Progress) -> Generator[Ended, None, None]:
        raise Stopped
        yield

    planned = plan_sweep(write_page(swept.page.parent, members=MEMBERS), overrides=["train.batch_size=3"])
    with pytest.raises(Stopped):
        run_sweep(planned, swept.folder, jobs=1, progress=SilentProgress(), command="", runner=stop)
    summary = SweepSummary.model_validate_json(swept.folder.summary_path.read_bytes())
    assert {trial.standing for row in summary.rows for trial in row.trials} == {Standing.WAITING}
    assert summary.chosen is summary.base is None
    assert {row.test for row in summary.rows} == {None}


def test_members_with_other_test_images_are_not_compared(swept: Swept, tmp_path: Path) -> None:
    page = write_page(swept.page.parent, members={"eye": {}, "other": {"split.seed": 1, "split.test": 4}})
    found = sweep(page, tmp_path / "two").summary
    (other,) = [row for row in found.rows if row.member == "other"]
    assert other.test is not None
    assert other.comparison is None
    assert found.num_compared == 0
    assert found.chosen == "eye"
    assert any("Not compared" in note and "other" in note for note in found.notes)
    # Table, links and captions are those of the first; from the first stage that differs on it is another's.
    assert len(list((tmp_path / "two" / "data").iterdir())) == 2
    shards = [*(tmp_path / "two" / "data").glob("*/clean/part-*.parquet")]
    assert {shard.stat().st_nlink for shard in shards} == {4}


def test_seeds_are_pooled_by_image_and_their_spread_is_said(swept: Swept) -> None:
    page = write_page(swept.page.parent, members={"eye": {}, "projector": MEMBERS["projector"]})
    done = sweep(page, swept.folder.root, seeds=[0, 1])
    found = done.summary
    assert done.ran == ["eye-seed-1", "projector-seed-1"]
    (row,) = [row for row in found.rows if row.member == "projector"]
    assert [trial.seed for trial in row.trials] == [0, 1]
    assert row.test is not None
    assert row.comparison is not None
    images = row.trials[0].test.n if row.trials[0].test else 0
    assert row.test.n == row.comparison.num_answers == 2 * images
    share = wilson(row.test.count // 2, images)
    if row.test.count % 2 == 0:
        assert (row.test.low, row.test.high) == (pytest.approx(share.low), pytest.approx(share.high))
    assert any("Between seeds of one member" in note for note in found.notes)


def test_a_table_that_is_not_there_stops_the_sweep_before_any_training(swept: Swept, tmp_path: Path) -> None:
    page = write_page(swept.page.parent, members={"eye": {}}, shared={"table.source": "nowhere.csv"})
    with pytest.raises(InputError, match="no such table"):
        sweep(page, tmp_path / "none")


def test_a_second_process_on_the_same_sweep_is_refused(swept: Swept) -> None:
    with swept.folder.locked(), pytest.raises(RunDirectoryError, match="is running this sweep"):
        sweep(swept.page, swept.folder.root)
