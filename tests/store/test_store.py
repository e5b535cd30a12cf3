"""What is kept: atomic files, journals that survive a kill, one process per run directory."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from nameplate.errors import RunDirectoryError
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.store.database import open_database
from nameplate.store.files import replacing, write_text
from nameplate.store.fingerprint import fingerprint
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.store.manifest import Manifest, StageRecord
from nameplate.store.rundir import RunDirectory
from nameplate.store.tables import StageTables


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError("power cut")
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_kept_file_has_the_mode_of_any_other_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "x")
    (tmp_path / "any").write_text("x", encoding="utf-8")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_full_disk_is_one_clear_paragraph_and_keeps_the_old_file(full_disk: Path) -> None:
    path = full_disk / "a.txt"
    write_text(path, "old")
    with pytest.raises(RunDirectoryError, match="no space left"):
        write_text(path, "x" * 200_000)
    assert path.read_text(encoding="utf-8") == "old"


def test_a_journal_on_a_full_disk_says_so(full_disk: Path) -> None:
    with Journal(full_disk / "j.sqlite") as journal, pytest.raises(RunDirectoryError, match="free some space"):
        for attempt in range(1000):
            journal.put("key", attempt, {"text": "x" * 1000})


def test_other_errors_of_the_disk_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path):
        pass
    assert caught.value.errno in {errno.EISDIR, errno.EBUSY, errno.ENOTEMPTY}


def test_an_entry_survives_a_kill_right_after_put(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom nameplate.store.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.put('a', 0, {'text': 'kept'})\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(path) as journal:
        assert journal.last("a") == {"text": "kept"}


def test_a_journal_keeps_attempts_in_order(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        for attempt in (1, 0, 2):
            journal.put("k", attempt, {"n": attempt})
        assert [entry["n"] for entry in journal.attempts("k")] == [0, 1, 2]
        assert journal.last("nobody") is None
        assert len(journal) == 3


def test_equal_bytes_are_stored_once_under_their_hash(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    first, second = store.put(b"pixels", "jpg"), store.put(b"pixels", "jpg")
    assert first == second
    assert store.read(first, "jpg") == b"pixels"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_second_process_is_refused_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom nameplate.store.rundir import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1])).locked():\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    run = RunDirectory(tmp_path)
    with pytest.raises(RunDirectoryError, match="another nameplate process"), run.locked():
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with run.locked():
        pass


def test_a_fingerprint_depends_on_values_not_on_key_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stages": {"ingest": {"what": 1}}}', encoding="utf-8")
    with pytest.raises(RunDirectoryError, match="not a manifest"):
        Manifest(tmp_path / "manifest.json")


def test_a_stage_is_done_only_for_its_own_fingerprint(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.json")
    manifest.put("fetch", StageRecord(fingerprint="a", status="running"))
    assert not manifest.is_done("fetch", "a")
    manifest.put("fetch", StageRecord(fingerprint="a", status="done"))
    again = Manifest(tmp_path / "manifest.json")
    assert again.is_done("fetch", "a")
    assert not again.is_done("fetch", "b")


def rows(*ids: str) -> pa.Table:
    return pa.Table.from_pylist([{"row_id": row_id, "name": "Nike"} for row_id in ids], schema=SCHEMAS["ingest"])


def test_rows_moved_after_a_second_look_are_counted_once_even_when_repeated(tmp_path: Path) -> None:
    tables = StageTables(tmp_path, "ingest")
    tables.write(0, rows("a", "b"), rejected_schema("ingest").empty_table())
    tables.write(1, rows("c"), rejected_schema("ingest").empty_table())
    before = tables.kept_path(0).read_bytes()
    tables.move_to_rejected({"b": ("duplicate_id", "seen above")})
    tables.kept_path(0).write_bytes(before)  # as if killed between writing the rejected and the kept file
    tables.move_to_rejected({"b": ("duplicate_id", "seen above")})
    assert tables.read_kept()["row_id"].to_pylist() == ["a", "c"]
    assert tables.reasons() == {"duplicate_id": 1}


def test_the_peak_of_memory_is_that_of_the_work_since_it_was_forgotten() -> None:
    """In a process of its own: what else these tests have done with memory must not matter."""
    script = (
        "from nameplate.store.memory import forget_peak, held_bytes, peak_bytes\n"
        "before = held_bytes()\n"
        "ballast = bytearray(200_000_000)\n"
        "for start in range(0, len(ballast), 4096): ballast[start] = 1\n"
        "high = peak_bytes()\n"
        "assert held_bytes() > before + 150_000_000, (before, held_bytes())\n"
        "del ballast\n"
        "forget_peak()\n"
        "assert peak_bytes() < high - 100_000_000, (high, peak_bytes())\n"
        "assert held_bytes() < high - 100_000_000, (high, held_bytes())\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_long_query_writes_nothing_to_standard_output() -> None:
    """DuckDB's own default draws a bar there after two seconds, which no program can read as JSON."""
    with open_database() as database:
        assert database.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]
