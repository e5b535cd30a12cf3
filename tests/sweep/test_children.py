"""Trials in processes of their own: how they end, what is said of it, and that none outlives its sweep."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from nameplate.pipeline import Pipeline
from nameplate.progress import SilentProgress
from nameplate.store.manifest import Manifest
from nameplate.sweep import children
from nameplate.sweep.children import Ended, Started, child_environment, run_children
from nameplate.sweep.events import Listener, Teller
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.members import plan_sweep
from nameplate.sweep.results import Failure, FailureKind
from nameplate.sweep.run import start_of
from nameplate.sweep.trial import is_out_of_memory

from .tiny_sweep import write_sweep

PATIENCE_SECONDS = 240.0


@pytest.fixture
def trial(tmp_path: Path) -> Started:
    """A trial whose data are there."""
    planned = plan_sweep(write_sweep(tmp_path, members={"eye": {}}))
    folder, (only,) = SweepFolder(tmp_path / "swept"), planned.trials
    data = folder.open_run(folder.data_root(only.recipe), only.recipe)
    recipe = folder.write_recipe(only)
    Pipeline(recipe, data).run(until="split")
    return start_of(only, folder, data)


def test_a_recipe_that_is_gone_is_an_error_with_its_paragraph(trial: Started) -> None:
    trial.job.recipe.unlink()
    (ended,) = run_children([trial], jobs=1, progress=SilentProgress())
    assert ended.failure is not None
    assert ended.failure.kind is FailureKind.ERROR
    assert "no such recipe" in ended.failure.text


def test_a_mistake_of_ours_is_a_crash_with_its_last_line_and_a_log(trial: Started) -> None:
    broken = trial._replace(job=trial.job.model_construct(recipe=trial.job.recipe))
    (ended,) = run_children([broken], jobs=1, progress=SilentProgress())
    assert ended.failure is not None
    assert ended.failure.kind is FailureKind.CRASH
    assert str(trial.log) in ended.failure.text
    assert "ValidationError" in trial.log.read_text(encoding="utf-8")


def running(root: Path) -> list[int]:
    """Processes of trials under a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes()
            if b"nameplate.sweep.trial" in words and str(root).encode() in words:
                found.append(int(path.parent.name))
    return found


def wait_until_it_runs(root: Path, still: threading.Thread | subprocess.Popen[bytes]) -> None:
    """Return once the trial holds its run, and has written down that it has begun."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (root / "manifest.json").exists():
            return
        alive = still.is_alive() if isinstance(still, threading.Thread) else still.poll() is None
        assert alive, "it ended before it began"
        time.sleep(0.01)
    raise AssertionError("it never began")


def test_one_that_the_system_kills_is_told_from_one_that_fails(trial: Started, tmp_path: Path) -> None:
    ended: list[Ended] = []
    thread = threading.Thread(
        target=lambda: ended.extend(run_children([trial], jobs=1, progress=SilentProgress())), daemon=True
    )
    thread.start()
    wait_until_it_runs(trial.job.root, thread)
    (process,) = running(tmp_path)
    os.kill(process, signal.SIGKILL)
    thread.join(PATIENCE_SECONDS)
    assert ended[0].failure is not None
    assert ended[0].failure.kind is FailureKind.KILLED
    assert "SIGKILL" in ended[0].failure.text


PARENT = """
import sys
from pathlib import Path
from nameplate.progress import SilentProgress
from nameplate.sweep.children import Started, run_children
from nameplate.sweep.trial import Job
job = Job.model_validate_json(sys.argv[1])
list(run_children([Started("eye", job, Path(sys.argv[2]))], jobs=1, progress=SilentProgress()))
"""


def test_a_trial_ends_with_a_killed_sweep_and_the_next_sweep_finishes_it(trial: Started, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, trial.job.model_dump_json(), str(trial.log)]
    with subprocess.Popen(words) as parent:
        wait_until_it_runs(trial.job.root, parent)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    # The orphan held the run; that the lock is free says that it has ended.
    with FileLock(trial.job.root / ".lock", timeout=PATIENCE_SECONDS):
        pass
    assert "report" not in Manifest(trial.job.root / "manifest.json").stages
    (ended,) = run_children([trial], jobs=1, progress=SilentProgress())
    assert ended.failure is None
    assert Manifest(trial.job.root / "manifest.json").stages["report"].status == "done"


def test_closing_ends_what_runs_and_starts_no_more(trial: Started, tmp_path: Path) -> None:
    gone = trial._replace(name="gone", job=trial.job.model_copy(update={"recipe": tmp_path / "none.yaml"}))
    late = trial._replace(name="late", job=trial.job.model_copy(update={"root": tmp_path / "late"}))
    ending = run_children([gone, trial, late], jobs=1, progress=SilentProgress())
    assert next(ending).name == "gone"
    ending.close()
    assert running(tmp_path) == []
    assert not (tmp_path / "late").exists()


def test_what_a_trial_tells_arrives_and_half_a_line_of_a_killed_one_is_nothing() -> None:
    stream, seen = io.StringIO(), Seen()
    teller = Teller(stream)
    task = teller.task("train", 3)
    task.advance(2)
    teller.note("half way")
    task.close()
    left = teller.task("score", None)
    left.advance()
    failure = Failure(kind=FailureKind.ERROR, text="no")
    teller.fail(failure)
    listener = Listener(seen, "eye")
    for line in [*stream.getvalue().splitlines(), '{"note": "ha', "", "7"]:
        listener.hear(line)
    assert seen.said == [
        "open eye: train 3",
        "train 2",
        "eye: half way",
        "close train",
        "open eye: score None",
        "score 1",
    ]
    listener.close()
    assert seen.said[-1] == "close score"
    assert listener.failure == failure


class Seen:
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def task(self, label: str, total: int | None) -> SeenTask:
        self.said.append(f"open {label} {total}")
        return SeenTask(self, label.removeprefix("eye: "))


class SeenTask:
    def __init__(self, seen: Seen, label: str) -> None:
        self.seen = seen
        self.label = label

    def advance(self, steps: int = 1) -> None:
        self.seen.said.append(f"{self.label} {steps}")

    def close(self) -> None:
        self.seen.said.append(f"close {self.label}")


def test_memory_that_is_not_there_is_told_from_other_errors() -> None:
    class OutOfMemoryError(RuntimeError):
        """As an accelerator's is called."""

    host = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes."
    assert [is_out_of_memory(each) for each in (MemoryError(), OutOfMemoryError("x"), RuntimeError(host))] == [True] * 3
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_side_by_side_each_has_its_share_of_cores_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(children.os, "cpu_count", lambda: 8)
    found = [child_environment(slot, 3) for slot in range(3)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == ["4", "6", "4"]
    assert {each["OMP_NUM_THREADS"] for each in found} == {"2"}
    alone = child_environment(0, 1)
    assert alone["CUDA_VISIBLE_DEVICES"] == "4,6"
    assert "OMP_NUM_THREADS" not in alone
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert child_environment(1, 2)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_job_survives_the_way_to_its_process(trial: Started) -> None:
    assert type(trial.job).model_validate_json(trial.job.model_dump_json()) == trial.job
    assert json.loads(trial.job.model_dump_json())["command"].startswith("nameplate run ")
