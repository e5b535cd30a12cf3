"""The split's rows in a database that never holds more in memory than it may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from nameplate.store.database import open_database
from nameplate.store.files import explaining_disk_errors
from nameplate.store.rundir import RunDirectory

MEMORY_LIMIT: Final = "1GB"
"""Beyond it, queries use the disk."""

# A page is the same with another fragment, campaign or closing slash.
_PAGE: Final = (
    "regexp_replace(regexp_replace(regexp_replace(trim(page_url), '#.*$', ''), "
    "'([?&])(utm_[^=&]*|gclid|fbclid)=[^&]*', '\\1', 'g'), '[?&/]+$', '')"
)


def _folded(column: str) -> str:
    """Without case, and with one space for whatever is no letter or digit."""
    return rf"nullif(trim(regexp_replace(lower({column}), '[^\p{{L}}\p{{N}}]+', ' ', 'g')), '')"


def _view(name: str, *, files: str, splits: str) -> str:
    """Rows with what two of them may have in common; null: there is none."""
    return f"""
        CREATE VIEW {name} AS
        SELECT
            row_id, split, name, title, caption, image_sha256, image_ext,
            coalesce(nullif(group_id, ''), 'row ' || row_id) AS product,
            nullif(group_id, '') AS group_key,
            nullif(image_sha256, '') AS image_key,
            nullif(image_source_sha256, '') AS source_image_key,
            coalesce(name, '') || chr(1) || nullif(trim(product_code), '') AS product_code_key,
            nullif({_PAGE}, '') AS page_key,
            coalesce(name, '') || chr(1) || {_folded("title")} AS title_key,
            {_folded("caption")} AS caption_key,
            try_cast('0x' || nullif(image_phash, '') AS UBIGINT) AS phash
        FROM read_parquet([{files}])
        WHERE split IN ({splits})
    """


@contextmanager
def opened(run: RunDirectory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the views `train` and `held`: the split's rows, with what two of them may have in common."""
    folder = run.leaks_path.parent
    with explaining_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = ", ".join(_quoted(str(path)) for path in run.tables("split").kept_paths())
    with TemporaryDirectory(dir=folder, prefix=".duckdb-") as spill, open_database() as database:
        database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        database.execute(f"SET temp_directory = {_quoted(spill)}")
        database.execute("SET preserve_insertion_order = false")
        database.execute(_view("train", files=files, splits="'train'"))
        database.execute(_view("held", files=files, splits="'validation', 'test'"))
        yield database


def one(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The only row of a query that has one."""
    row: tuple[Any, ...] | None = database.execute(query).fetchone()
    assert row is not None
    return row


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
