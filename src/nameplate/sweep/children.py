"""Trials as child processes: started, listened to, and always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from nameplate.progress import Progress
from nameplate.sweep.events import Listener
from nameplate.sweep.results import Failure, FailureKind
from nameplate.sweep.trial import Job

_DEVICES: Final = Path("/proc/driver/nvidia/gpus")


class Started(NamedTuple):
    """A trial to run."""

    name: str
    job: Job
    log: Path


class Ended(NamedTuple):
    """A trial that has ended."""

    name: str
    failure: Failure | None


def run_children(trials: Sequence[Started], *, jobs: int, progress: Progress) -> Generator[Ended, None, None]:
    """Run trials in processes of their own, so many at a time, and yield each as it ends.

    Close it (`contextlib.closing`): then those that still run are ended, and no other is started.
    """
    crew = _Crew(jobs, progress)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in as_completed([pool.submit(crew.run, trial) for trial in trials]):
                yield future.result()
        finally:
            crew.stop()


class _Crew:
    """Child processes, at most as many as there are slots."""

    def __init__(self, jobs: int, progress: Progress) -> None:
        self._jobs = jobs
        self._progress = progress
        self._slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            self._slots.put(slot)
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def stop(self) -> None:
        """Tell all children to end, and start no more."""
        with self._lock:
            self._stopped = True
            for child in self._children:
                _close_input(child)

    def run(self, trial: Started) -> Ended:
        """Run one trial to its end."""
        slot = self._slots.get()
        try:
            child = self._start(trial, slot)
            return Ended(trial.name, self._listen(child, trial) if child is not None else None)
        finally:
            self._slots.put(slot)

    def _start(self, trial: Started, slot: int) -> subprocess.Popen[str] | None:
        trial.log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, trial.log.open("wb") as log:
            if self._stopped:
                return None
            child = subprocess.Popen(
                [sys.executable, "-m", "nameplate.sweep.trial", trial.job.model_dump_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env=child_environment(slot, self._jobs),
                # Ctrl-C goes to the whole process group; the sweep decides when its trials end.
                start_new_session=True,
            )
            self._children.add(child)
        return child

    def _listen(self, child: subprocess.Popen[str], trial: Started) -> Failure | None:
        listener = Listener(self._progress, trial.name)
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                listener.hear(line)
        listener.close()
        code = child.wait()
        with self._lock:
            self._children.discard(child)
            _close_input(child)
        return listener.failure or _failure_of(code, trial.log)


def _failure_of(code: int, log: Path) -> Failure | None:
    if code == 0:
        return None
    if code < 0:
        text = f"{signal.Signals(-code).name} ended it; the system does that to a process when memory runs out"
        return Failure(kind=FailureKind.KILLED, text=text)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return Failure(kind=FailureKind.CRASH, text=f"{said[-1] if said else 'no reason given'} (see {log})")


def _close_input(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.close()


def child_environment(slot: int, jobs: int) -> dict[str, str]:
    """The environment of the trial in one of several slots: its share of the cores, and an accelerator of its own."""
    environment = dict(os.environ)
    if jobs > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
        devices = _devices()
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    return environment


def _devices() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device.strip() for device in visible.split(",") if device.strip()]
    return [str(number) for number, _ in enumerate(_DEVICES.iterdir())] if _DEVICES.is_dir() else []
