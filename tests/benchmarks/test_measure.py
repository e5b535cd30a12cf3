from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from measure import run_tree

BURN = "import time\nwhile time.process_time() < 1.0: pass"
HOLD = "data = b'x' * 200_000_000; print(flush=True); input()"


def in_a_child(code: str, *, waits: bool) -> str:
    wait = ".wait()" if waits else ""
    return f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {code!r}]){wait}"


@pytest.mark.parametrize(
    "code",
    [
        BURN,
        in_a_child(BURN, waits=True),
        in_a_child(BURN, waits=False),
        in_a_child(in_a_child(BURN, waits=False), waits=True),
    ],
    ids=["itself", "child", "orphan", "orphan of a child"],
)
def test_processor_time_of_the_whole_tree_is_counted_once(tmp_path: Path, code: str) -> None:
    cost = run_tree([sys.executable, "-c", code], log=tmp_path / "log")
    assert cost.exit_code == 0
    # Starting three interpreters costs something too, but not as much as burning twice.
    assert 1.0 <= cost.cpu_seconds < 2.0


def test_memory_of_all_processes_counts(tmp_path: Path) -> None:
    two = (
        "import subprocess as s, sys, time\n"
        f"both = [s.Popen([sys.executable, '-c', {HOLD!r}], stdin=s.PIPE, stdout=s.PIPE) for _ in '12']\n"
        "for each in both: each.stdout.readline()\n"
        "time.sleep(1.5)\n"
        "for each in both: each.communicate(b'\\n')\n"
    )
    cost = run_tree([sys.executable, "-c", two], log=tmp_path / "log")
    assert 400e6 < cost.peak_pss_bytes <= cost.peak_rss_bytes < 500e6


def test_what_is_printed_and_the_exit_code_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    cost = run_tree([sys.executable, "-c", "print('said'); raise SystemExit(3)"], log=log)
    assert (cost.exit_code, log.read_text()) == (3, "said\n")


def test_the_environment_reaches_the_command(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run_tree([sys.executable, "-c", "import os; print(os.environ['WHO'])"], log=log, env={"WHO": "peer"})
    assert log.read_text() == "peer\n"


def test_what_others_do_meanwhile_is_not_counted_as_the_commands(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        cost = run_tree([sys.executable, "-c", "import time; time.sleep(1)"], log=tmp_path / "log")
        other.kill()
    assert cost.cpu_seconds < 0.5
    assert cost.elsewhere_cpu_seconds > 0.1
