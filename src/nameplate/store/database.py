"""A database in memory, for questions about whole tables."""

from __future__ import annotations

import duckdb


def open_database() -> duckdb.DuckDBPyConnection:
    """A new DuckDB database that writes nothing to standard output.

    By its own default a query of over two seconds draws a bar there, in front of the JSON that a program reads.
    """
    database = duckdb.connect()
    database.execute("SET enable_progress_bar = false")
    return database
