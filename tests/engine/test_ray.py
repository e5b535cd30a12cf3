"""What only Ray can do to a run: workers die, machines do not see the files, clusters are not there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import ray

from nameplate.engine import Engine, LocalEngine
from nameplate.engine.ray import RayEngine, cluster
from nameplate.errors import EngineError
from nameplate.progress import SilentProgress
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables

from .gates import UsesAGate
from .odd_rows import (
    DiesAlways,
    DiesOnce,
    OddRows,
    SeesNothing,
    UsesAJournal,
    WaitsForCompany,
    WaitsToBeKilled,
    write_inputs,
)

SIZES = (4, 3, 2, 6)


def run(engine: Engine, stage: OddRows, folder: Path, sizes: Sequence[int] = SIZES) -> StageTables:
    tables = StageTables(folder / "out", "ingest")
    inputs = write_inputs(folder / "in", *sizes)
    engine.run(stage, inputs, tables=tables, progress=SilentProgress(), total=sum(sizes))
    return tables


def test_shards_run_in_other_processes_and_several_at_once(ray_engine: Engine, tmp_path: Path) -> None:
    stage = WaitsForCompany(tmp_path / "notes")
    run(ray_engine, stage, tmp_path, [2] * 12)
    assert os.getpid() not in stage.pids("ran-") and len(stage.pids("ran-")) > 1


def test_a_shard_is_tried_again_when_its_worker_dies(ray_engine: Engine, tmp_path: Path) -> None:
    stage = DiesOnce(tmp_path / "notes")
    tables = run(ray_engine, stage, tmp_path)
    assert (stage.times("died"), stage.times("ran-00004"), stage.times("ran-")) == (1, 2, 5)
    assert sum(tables.reasons().values()) + tables.num_kept() == 15


def test_a_shard_that_kills_every_worker_ends_the_run(ray_engine: Engine, tmp_path: Path) -> None:
    stage = DiesAlways(tmp_path / "notes")
    with pytest.raises(EngineError, match="ingest, shard 0: its worker died each time"):
        run(ray_engine, stage, tmp_path, [3])
    assert stage.times("died") == 4


def test_a_worker_that_sees_other_folders_says_so(ray_engine: Engine, tmp_path: Path) -> None:
    stage = SeesNothing(tmp_path / "notes")
    with pytest.raises(EngineError, match="is not visible here; expected one file system") as caught:
        run(ray_engine, stage, tmp_path)
    assert str(stage.folder) in str(caught.value) and "worker on " in str(caught.value)
    assert stage.times("ran-") == 0


def test_every_worker_writes_the_one_journal_beside_the_driver(ray_engine: Engine, tmp_path: Path) -> None:
    stage = UsesAJournal(tmp_path / "notes", tmp_path / "j.sqlite")
    stage.in_company = True
    run(ray_engine, stage, tmp_path, [2] * 10)
    assert not list(tmp_path.glob("j.sqlite-*")), "the journal was not closed"
    with Journal(tmp_path / "j.sqlite") as journal:
        entries = dict(journal.items())
    assert len(entries) == 20
    writers = {tuple(entry["opened_by"]) for entry in entries.values()}
    assert len(stage.pids("ran-")) > 1
    assert len(writers) == 1 and len(min(writers)) == 1, "more than one process had the file open"


def test_what_a_killed_worker_put_is_kept(ray_engine: Engine, tmp_path: Path) -> None:
    stage = UsesAJournal(tmp_path / "notes", tmp_path / "j.sqlite")
    stage.dies_after = "00002"
    run(ray_engine, stage, tmp_path, [4])
    assert stage.times("died") == 1
    assert stage.times("found-00002") == 1 and stage.times("found-") == 3


def test_a_gate_is_one_for_all_workers(ray_engine: Engine, tmp_path: Path) -> None:
    stage = UsesAGate(tmp_path / "notes", tmp_path / "log", limit=2)
    stage.in_company = True
    run(ray_engine, stage, tmp_path, [4] * 6)
    assert stage.holders() == (24, 2)
    assert len(stage.pids("ran-")) > 1


def test_a_place_at_a_gate_comes_back_when_its_holder_is_killed(ray_engine: Engine, tmp_path: Path) -> None:
    stage = UsesAGate(tmp_path / "notes", tmp_path / "log", limit=1, lease_seconds=2.0)
    stage.victim = "00008"
    run(ray_engine, stage, tmp_path, [4] * 6)
    assert stage.holders()[0] == 24 and stage.times("died") == 1


@pytest.mark.timeout(60)
def test_a_release_comes_through_where_more_wait_than_ray_lets_in_by_itself(ray_engine: Engine, tmp_path: Path) -> None:
    stage = UsesAGate(tmp_path / "notes", tmp_path / "log", limit=2)
    run(ray_engine, stage, tmp_path, [1200])
    passed, most = stage.holders()
    assert passed == 1200 and most <= 2


SCRIPT = """
import sys
from pathlib import Path
from nameplate.engine.ray import RayEngine
from nameplate.progress import SilentProgress
from nameplate.store.tables import StageTables
from tests.engine import odd_rows
kind, folder, address = getattr(odd_rows, sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
stage, tables = kind(folder / "notes"), StageTables(folder / "out", "ingest")
inputs = odd_rows.file_shards(StageTables(folder / "in", "ingest").kept_paths())
with RayEngine(address, num_cpus=None if address else 2) as engine:
    outcome = engine.run(stage, inputs, tables=tables, progress=SilentProgress(), total=15)
    print("kept", outcome.kept)
"""


def driver(kind: type[OddRows], folder: Path, address: str = "", *, cwd: Path | None = None) -> subprocess.Popen[str]:
    """A run in a process of its own, as a shell would start it: in a process group, with plain output."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, kind.__name__, str(folder), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
        start_new_session=True,
        cwd=cwd,
    )


def processes_of(session: int) -> list[str]:
    listed = subprocess.run(["ps", "-o", "args=", "-s", str(session)], capture_output=True, text=True, check=False)
    return listed.stdout.splitlines()


def test_ctrl_c_stops_promptly_leaves_nothing_running_and_the_run_goes_on(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "in", *SIZES)
    child = driver(WaitsToBeKilled, tmp_path)
    tables, stage = StageTables(tmp_path / "out", "ingest"), WaitsToBeKilled(tmp_path / "notes")
    while not (stage.times("waits") and tables.is_finished(3)):
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        time.sleep(0.05)
    # As a terminal does: to all processes of the group.
    os.killpg(child.pid, signal.SIGINT)
    said, complaint = child.communicate(timeout=60)
    assert child.returncode not in (0, None) and complaint.rstrip().endswith("KeyboardInterrupt"), complaint
    assert said == "" and "(raylet)" not in complaint
    assert processes_of(child.pid) == []
    assert not tables.is_finished(1)
    outcome = LocalEngine().run(OddRows(tmp_path / "more"), inputs, tables=tables, progress=SilentProgress(), total=15)
    assert outcome.read == 15 and OddRows(tmp_path / "more").times("ran-") == 1


def test_a_cluster_that_is_there_is_joined_and_left_running(ray_engine: Engine, tmp_path: Path) -> None:
    run(ray_engine, OddRows(tmp_path / "first"), tmp_path / "first-run", [1])
    write_inputs(tmp_path / "in", *SIZES)
    # A relative run directory is the driver's, wherever the cluster's processes were started.
    child = driver(DiesOnce, Path(), ray.get_runtime_context().gcs_address, cwd=tmp_path)
    said, complaint = child.communicate(timeout=60)
    assert complaint == "", complaint
    assert said == "kept 6\n", "Ray said something, of a worker's death or of itself"
    assert DiesOnce(tmp_path / "notes").times("died") == 1
    run(ray_engine, OddRows(tmp_path / "last"), tmp_path / "last-run", [1])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "nothing listens there"),
        ("ray://127.0.0.1:1", "nothing listens there"),
        ("somewhere", "expected HOST:PORT"),
        ("127.0.0.1:99999", "expected HOST:PORT"),
        ("http://127.0.0.1:8265", "expected HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_said_at_once(tmp_path: Path, address: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        run(RayEngine(address), OddRows(tmp_path / "notes"), tmp_path)


def test_a_port_of_something_else_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "JOIN_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(EngineError, match="no Ray cluster answers within 2 s"):
            run(RayEngine(address), OddRows(tmp_path / "notes"), tmp_path)


def test_without_ray_the_error_says_what_to_install() -> None:
    script = "import sys; sys.modules['ray'] = None\nfrom nameplate.engine.ray import RayEngine"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith("Ray is not installed; pip install 'nameplate[ray]'")


def test_a_finished_stage_starts_no_ray(tmp_path: Path) -> None:
    inputs, tables = write_inputs(tmp_path / "in", 3), StageTables(tmp_path / "out", "ingest")
    LocalEngine().run(OddRows(tmp_path / "notes"), inputs, tables=tables, progress=SilentProgress(), total=3)
    engine = RayEngine("127.0.0.1:1")
    assert engine.run(OddRows(tmp_path / "n"), inputs, tables=tables, progress=SilentProgress(), total=3).read == 3
