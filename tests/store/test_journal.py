"""A journal, asked in bulk and from several processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nameplate.store.journal import Journal


def test_the_last_entries_of_many_keys_come_in_one_answer(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        for number in range(5_000):
            journal.put(f"k{number}", 0, {"n": number})
        for attempt in (2, 10, 1):
            journal.put("k7", attempt, {"attempt": attempt})
        keys = [*(f"k{number}" for number in range(0, 5_000, 2)), "k7", "k7", "nobody", 'it\'s "odd" \u00e9']
        found = journal.last_many(keys)
        assert len(found) == 2_501 and found["k7"] == {"attempt": 10}
        assert found == {key: entry for key in keys if (entry := journal.last(key)) is not None}
        assert journal.last_many([]) == {}


def test_entries_put_together_are_all_there_or_none(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put_many([(f"k{number}", number % 3, {"n": number}) for number in range(100)])
        assert len(journal) == 100 and journal.last("k7") == {"n": 7}
        with pytest.raises(sqlite3.IntegrityError):
            journal.put_many([("a", 0, {}), (None, 0, {})])  # type: ignore[list-item]  # what a bug of ours would do
        assert len(journal) == 100 and journal.last("a") is None
        journal.put("b", 0, {"after": "a failure"})
        assert journal.last("b") == {"after": "a failure"}


WRITER = """
import sys
from pathlib import Path
from nameplate.store.journal import Journal
with Journal(Path(sys.argv[1])) as journal:
    for number in range(300):
        journal.put(f"{sys.argv[2]}-{number}", 0, {"n": number})
"""


def test_several_processes_may_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abcd"]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    with Journal(path) as journal:
        assert len(journal) == 1_200


class BusyAtFirst(sqlite3.Connection):
    """Refuses to switch to WAL three times, as SQLite does while another connection to a new file is switching."""

    refused = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "PRAGMA journal_mode=WAL" and self.refused < 3:
            self.refused += 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return super().execute(sql, *args)


def test_a_new_file_that_another_process_is_opening_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, factory=BusyAtFirst, **kwargs))
    with Journal(tmp_path / "new.sqlite") as journal:
        journal.put("key", 0, {"value": 1})
        assert journal.last("key") == {"value": 1}
