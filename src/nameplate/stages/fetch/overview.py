"""Questions to the finished table: which image stands for "no image", and what hosts and names gave.

All counting is done by DuckDB over the Parquet files, in bounded memory: a table may have ten million rows, and a
hundred thousand hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from nameplate.engine import Moves
from nameplate.records import FetchStatus
from nameplate.stages.fetch.figures import HostFigures, LinkFigures
from nameplate.store.database import open_database
from nameplate.store.tables import StageTables
from nameplate.summary import FetchSummary, HostSummary, NameImages

SHOWN: Final = 20
"""Hosts and names that the manifest lists; the tables hold the others."""
MIN_ROWS_OF_A_NAME: Final = 10
"""A name with fewer rows is listed only when all have fewer: its live share says little."""
MEMORY_LIMIT: Final = "1GB"
"""Of DuckDB; what does not fit is spilled to the stage's folder for the moment."""

REFUSALS: Final = (FetchStatus.ROBOTS_DISALLOWED, FetchStatus.OPTED_OUT, FetchStatus.HTTP_403)
"""Statuses by which a host says that it does not want us; its owner can be asked."""

HOST_OF_URL: Final = r"""
lower(trim(regexp_extract(image_url, '(?i)^\s*https?://(?:[^/?#@]*@)?(\[[^\]/]*\]|[^/?#:]+)', 1), '[]'))
"""
"""SQL: the host that a link names as `parse_link` has it, "" where it names none."""

# A 64-bit hash stands for the text while groups are counted: ten million links or digests would not fit in memory.
_PRODUCT: Final = r"""
coalesce('code ' || regexp_replace(product_code, '^(.+)[-_][^-_]*$', '\1'), 'row ' || row_id)
"""
_SHARED_IMAGES: Final = f"""
WITH often AS (
    SELECT hash(image_sha256) AS image FROM {{rows}} WHERE image_sha256 IS NOT NULL
    GROUP BY image HAVING count(*) >= $min_products
), candidates AS (
    SELECT row_id, image_sha256, {_PRODUCT} AS product
    FROM {{rows}} WHERE hash(image_sha256) IN (SELECT image FROM often)
), shared AS (
    SELECT image_sha256, count(DISTINCT product) AS num_products
    FROM candidates GROUP BY image_sha256 HAVING num_products >= $min_products
)
SELECT row_id, image_sha256, num_products FROM candidates JOIN shared USING (image_sha256) ORDER BY row_id
"""

_PICTURED: Final = f"""
CREATE TEMP VIEW pictured AS
SELECT row_id, product_code, image_sha256 FROM kept
UNION ALL SELECT row_id, product_code, image_sha256 FROM rejected WHERE reason = '{FetchStatus.PLACEHOLDER}'
"""
_LINKS: Final = f"""
CREATE TEMP VIEW links AS
SELECT name, {HOST_OF_URL} AS host, status FROM (
    SELECT name, image_url, '{FetchStatus.OK}' AS status FROM kept
    UNION ALL SELECT name, image_url, reason AS status FROM rejected
)
"""
_HOSTS: Final = f"""
CREATE TEMP TABLE hosts AS
SELECT host, sum(num)::BIGINT AS num_rows, coalesce(sum(num) FILTER (status = '{FetchStatus.OK}'), 0)::BIGINT AS live,
       sum(num) FILTER (status IN {tuple(str(status) for status in REFUSALS)}) AS refused,
       map_from_entries(list((status, num) ORDER BY num DESC, status)) AS statuses
FROM (SELECT host, status, count(*) AS num FROM links WHERE host <> '' GROUP BY host, status)
GROUP BY host
"""
_WORST_HOSTS: Final = "SELECT * FROM hosts ORDER BY num_rows - live DESC, num_rows DESC, host"
_REFUSING_HOSTS: Final = "SELECT * FROM hosts WHERE refused > 0 ORDER BY refused DESC, host"
_NAMES: Final = f"""
CREATE TEMP TABLE names AS
SELECT name, count(*) AS num_rows, count(*) FILTER (status = '{FetchStatus.OK}') AS live
FROM links WHERE name <> '' GROUP BY name
"""
_WORST_NAMES: Final = f"""
SELECT name, num_rows, live FROM names
WHERE num_rows >= least({MIN_ROWS_OF_A_NAME}, (SELECT max(num_rows) FROM names))
ORDER BY live / num_rows, num_rows DESC, name
"""
_IMAGES: Final = """
SELECT count(*), coalesce(sum(size), 0)::BIGINT, median(width)::INTEGER, median(height)::INTEGER FROM (
    SELECT any_value(image_bytes) AS size, any_value(image_width) AS width, any_value(image_height) AS height
    FROM kept WHERE image_sha256 IS NOT NULL GROUP BY hash(image_sha256)
)
"""
_CHANGES: Final = """
SELECT change, count(*) AS num FROM (SELECT unnest(image_changes) AS change FROM kept)
GROUP BY change ORDER BY num DESC, change
"""


def find_placeholders(tables: StageTables, *, min_products: int) -> Moves:
    """Kept rows whose image is shared by at least `min_products` different products.

    Two codes are one product when they are equal up to their last "-" or "_", so that variants in several colours may
    share a picture; a row without a code is a product of its own. A catalogue whose codes differ only behind the last
    separator ("SHOP-0001", "SHOP-0002") is one product to this rule, and its placeholders stay unseen.
    """
    if not tables.kept_paths():
        return {}
    with _opened(tables) as database:
        # Those that were rejected before count as well: by a stage that was killed, or before other rows came back.
        database.execute(_PICTURED)
        found = database.execute(_SHARED_IMAGES.format(rows="pictured"), {"min_products": min_products}).fetchall()
    return {row_id: (FetchStatus.PLACEHOLDER, f"one image for {count} products") for row_id, _, count in found}


def shared_images(rows: Any, *, min_products: int) -> list[tuple[str, str, int]]:
    """`find_placeholders` for an Arrow table: row, image, and the number of products that share it."""
    with open_database() as database:
        database.register("sampled", rows)
        query = _SHARED_IMAGES.format(rows="sampled")
        return database.execute(query, {"min_products": min_products}).fetchall()


def summarise(tables: StageTables) -> FetchSummary:
    """Count the finished table, and add up how its shards were asked."""
    figures = LinkFigures.merge(tables.figures())
    counted = _counted(tables, figures) if tables.kept_paths() else _NOTHING
    return FetchSummary(
        requests=figures.requests,
        retries=figures.retries,
        links=figures.links,
        known=figures.known,
        bytes_received=figures.bytes_received,
        **counted,
    )


_NOTHING: Final[dict[str, Any]] = {
    "images": 0, "bytes": 0, "median_width": None, "median_height": None, "changes": {},
    "num_hosts": 0, "hosts": [], "refusing": [], "num_names": 0, "num_lost_names": 0, "names": [],
}  # fmt: skip


def _counted(tables: StageTables, figures: LinkFigures) -> dict[str, Any]:
    with _opened(tables) as database:
        for statement in (_LINKS, _HOSTS, _NAMES):
            database.execute(statement)
        images, num_bytes, width, height = _one(database, _IMAGES)
        (num_hosts,) = _one(database, "SELECT count(*) FROM hosts")
        num_names, lost = _one(database, "SELECT count(*), count(*) FILTER (live = 0) FROM names")
        names = database.execute(_WORST_NAMES).fetchmany(SHOWN)
        return {
            "images": images,
            "bytes": num_bytes,
            "median_width": width,
            "median_height": height,
            "changes": dict(database.execute(_CHANGES).fetchall()),
            "num_hosts": num_hosts,
            "hosts": _hosts(database, _WORST_HOSTS, figures),
            "refusing": _hosts(database, _REFUSING_HOSTS, figures),
            "num_names": num_names,
            "num_lost_names": lost,
            "names": [NameImages(name=name, rows=rows, live=live) for name, rows, live in names],
        }


def _hosts(database: duckdb.DuckDBPyConnection, query: str, figures: LinkFigures) -> list[HostSummary]:
    found = database.execute(f"{query} LIMIT {SHOWN}").fetchall()
    return [
        _host(host, num_rows, live, statuses, figures.hosts.get(host, HostFigures()))
        for host, num_rows, live, _, statuses in found
    ]


def _host(host: str, num_rows: int, live: int, statuses: dict[str, int], figures: HostFigures) -> HostSummary:
    times = figures.latencies
    return HostSummary(
        host=host, rows=num_rows, live=live, statuses=statuses, p50_ms=times.quantile(0.5), p95_ms=times.quantile(0.95)
    )


def _one(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = database.execute(query).fetchone()
    assert row is not None
    return row


@contextmanager
def _opened(tables: StageTables) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the views `kept` and `rejected`, which spills into the stage's folder."""
    with TemporaryDirectory(dir=tables.folder, prefix=".duckdb-") as spill, open_database() as database:
        database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        database.execute(f"SET temp_directory = {_quoted(spill)}")
        database.execute("SET preserve_insertion_order = false")
        rejected = sorted((tables.folder / "rejected").glob("part-*.parquet"))
        for view, paths in (("kept", tables.kept_paths()), ("rejected", rejected)):
            files = ", ".join(_quoted(str(path)) for path in paths)
            database.execute(f"CREATE TEMP VIEW {view} AS SELECT * FROM read_parquet([{files}])")
        yield database


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
