"""Journals: what was paid for once (a fetch, a teacher's answer, a prediction) is written down at once and kept.

A journal is one SQLite file in WAL mode. Every `put` is committed before it returns, so a killed process loses nothing
that it had finished. Several threads of one process may share a journal, and several processes of one machine the file.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nameplate.errors import RunDirectoryError
from nameplate.store.files import explaining_disk_errors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT NOT NULL, attempt INTEGER NOT NULL, value TEXT NOT NULL, written REAL NOT NULL,
    PRIMARY KEY (key, attempt)
) WITHOUT ROWID
"""

_LAST_MANY = """
SELECT entries.key, entries.value FROM json_each(?) AS wanted JOIN entries ON entries.key = wanted.value
WHERE entries.attempt = (SELECT max(attempt) FROM entries AS each WHERE each.key = entries.key)
"""

BUSY_SECONDS: Final = 30.0
"""How long a write waits for another process's write to end."""


class Journal:
    """JSON values by key and attempt, kept for good."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explaining_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        self._write_ahead()
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_SCHEMA)

    def _write_ahead(self) -> None:
        """Switch to WAL mode, which SQLite refuses at once, whatever the timeout, while another connection does."""
        patience = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._database.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                    raise
                time.sleep(0.01)

    def put(self, key: str, attempt: int, value: Mapping[str, Any]) -> None:
        """Write one entry; it is on disk for this machine's other processes when this returns.

        Raises:
            RunDirectoryError: the disk is full.
        """
        self.put_many([(key, attempt, value)])

    def put_many(self, entries: Iterable[tuple[str, int, Mapping[str, Any]]]) -> None:
        """Write entries (key, attempt, value) in one transaction: all of them, or none.

        Raises:
            RunDirectoryError: the disk is full.
        """
        now = time.time()
        rows = [(key, attempt, json.dumps(value, ensure_ascii=False), now) for key, attempt, value in entries]
        try:
            with self._lock, self._transaction():
                self._database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
        except sqlite3.OperationalError as error:
            raise RunDirectoryError(
                str(self.path), found=f"cannot be written ({error})", fix="free some space and run the command again"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction by itself.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def attempts(self, key: str) -> list[dict[str, Any]]:
        """All entries of a key, in the order of their attempts."""
        with self._lock:
            found = self._database.execute("SELECT value FROM entries WHERE key = ? ORDER BY attempt", (key,))
            return [json.loads(text) for (text,) in found.fetchall()]

    def last(self, key: str) -> dict[str, Any] | None:
        """The latest entry of a key."""
        entries = self.attempts(key)
        return entries[-1] if entries else None

    def last_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The latest entry of each of these keys that has one, in one question."""
        with self._lock:
            found = self._database.execute(_LAST_MANY, (json.dumps(list(keys)),)).fetchall()
        return {key: json.loads(text) for key, text in found}

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every entry with its key, ordered by key and attempt."""
        with self._lock:
            rows = self._database.execute("SELECT key, value FROM entries ORDER BY key, attempt").fetchall()
        return ((key, json.loads(text)) for key, text in rows)

    def sums(self, fields: Sequence[str], *, where: tuple[str, str]) -> tuple[int, list[float]]:
        """How many entries have a certain text in one field, and the sums of other fields over them.

        Args:
            fields: of numbers, with dots for fields of fields; what is missing counts 0.
            where: a field, and the text in it.
        """
        sums = ", ".join("total(json_extract(value, ?))" for _ in fields)
        paths = [f"$.{field}" for field in (*fields, where[0])]
        with self._lock:
            found = self._database.execute(
                f"SELECT count(*), {sums} FROM entries WHERE json_extract(value, ?) = ?", (*paths, where[1])
            )
            count, *totals = found.fetchone()
        return int(count), [float(each) for each in totals]

    def __len__(self) -> int:
        with self._lock:
            (count,) = self._database.execute("SELECT count(*) FROM entries").fetchone()
            return int(count)

    def close(self) -> None:
        """Close the file; what was put stays."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
