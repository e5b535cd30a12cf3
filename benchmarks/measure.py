"""What a command costs: wall time, processor time and memory of its whole tree of processes.

Processor time is exact: the kernel adds a child's time to its parent's when the parent waits for it, and children whose
parent did not wait become ours (subreaper) and are waited for here. Memory is looked at ten times a second: `rss` adds
up what each process holds, shared pages once for each; `pss` divides shared pages among those that share them, so that
its sum counts them once. What else the machine did meanwhile is measured too, for a figure taken beside other work is
worth little.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

LOOK_EVERY_SECONDS = 0.1
_PR_SET_CHILD_SUBREAPER = 36
_ORPHANS_SECONDS = 5.0


class Cost(NamedTuple):
    """What a command cost, itself and all processes that it started."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    peak_pss_bytes: int
    exit_code: int
    elsewhere_cpu_seconds: float
    """Processor time of all other processes of the machine in the same time."""


def run_tree(command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end; what it prints goes to `log`. Linux only."""
    _adopt_orphans()
    with log.open("wb") as output:
        started, busy = time.monotonic(), _busy_seconds()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, start_new_session=True
        )
        memory = _MemoryWatch(process.pid)
        with memory:
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                _kill_group(process.pid)
                raise
        wall, busy = time.monotonic() - started, _busy_seconds() - busy
        # Popen would wait for a process that is gone.
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = _cpu_of(used) + sum(_cpu_of(orphan) for orphan in _orphans(process.pid))
    return Cost(wall, cpu, memory.peak_rss, memory.peak_pss, process.returncode, max(0.0, busy - cpu))


class _MemoryWatch:
    """A thread that adds up the memory of a tree while it runs."""

    def __init__(self, pid: int) -> None:
        self.peak_rss = 0
        self.peak_pss = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_SECONDS):
            sizes = list(_sizes_in_session(self._pid))
            self.peak_rss = max(self.peak_rss, sum(rss for rss, _ in sizes))
            self.peak_pss = max(self.peak_pss, sum(pss for _, pss in sizes))


def _sizes_in_session(session: int) -> Iterator[tuple[int, int]]:
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == session:
                memory = psutil.Process(pid).memory_full_info()
                yield memory.rss, memory.pss


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this system cannot adopt orphaned processes")


def _orphans(group: int) -> Iterator[resource.struct_rusage]:
    """Wait for what the command left behind; what has not ended by itself after a while is killed."""
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while True:
        try:
            pid, _, used = os.wait4(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            yield used
        elif time.monotonic() > deadline:
            _kill_group(group)
        else:
            time.sleep(0.01)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _busy_seconds() -> float:
    """Processor time that all processes of the machine have had."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _cpu_of(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime
