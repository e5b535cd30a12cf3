"""Drawing a few rows of a table and asking for their images, with the client, the limits and the ledger of a fetch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from nameplate.recipe import FetchSection
from nameplate.records import SCHEMAS, FetchStatus
from nameplate.stages.fetch.check import Cost, LinkCheck, SampledRow, check
from nameplate.stages.fetch.network.guard import parse_link
from nameplate.stages.fetch.overview import HOST_OF_URL, shared_images
from nameplate.stages.fetch.result import LinkFailed, LinkResult
from nameplate.stages.fetch.stage import FetchStage
from nameplate.store.database import open_database
from nameplate.store.tables import StageTables

LONGEST_CHECK_SECONDS: Final = 50.0
"""For drawing and asking; an answer within a minute is promised."""
SHORTEST_ASKING_SECONDS: Final = 15.0

_PATIENCE: Final = {"connect_seconds": 4.0, "read_seconds": 8.0, "total_seconds": 12.0}
_ATTEMPTS: Final = 2

# A text digest, not DuckDB's own hash: the sample of a table stays the same with the next version of DuckDB, and a
# larger sample of the same seed contains the smaller one.
_DRAW: Final = """
SELECT * FROM read_parquet($files) ORDER BY md5(row_id || ' ' || $seed), row_id LIMIT $num_rows
"""
_LINKS: Final = f"""
SELECT host, count(DISTINCT link) FROM (
    SELECT {HOST_OF_URL} AS host, hash(image_url) AS link FROM read_parquet($files) WHERE image_blob IS NULL
) WHERE host <> '' GROUP BY host
"""


def impatient(section: FetchSection) -> FetchSection:
    """The recipe's section with clocks and tries for a check: what may pass is asked again by the fetch anyway."""
    clocks = section.clocks
    shorter = {name: min(seconds, getattr(clocks, name)) for name, seconds in _PATIENCE.items()}
    return section.model_copy(
        update={
            "clocks": clocks.model_copy(update=shorter),
            "max_attempts": min(_ATTEMPTS, section.max_attempts),
        }
    )


def draw(tables: StageTables, *, num_rows: int, seed: int = 0) -> pa.Table:
    """So many rows of an ingested table, each with the same chance, always the same for one seed."""
    files = [str(path) for path in tables.kept_paths()]
    with open_database() as database:
        drawn = database.sql(_DRAW, params={"files": files, "seed": str(seed), "num_rows": num_rows}).to_arrow_table()
    assert drawn is not None
    return drawn.cast(SCHEMAS["ingest"])


def check_links(
    stage: FetchStage,
    tables: StageTables,
    *,
    section: FetchSection,
    num_rows: int,
    seconds: float = LONGEST_CHECK_SECONDS,
) -> LinkCheck:
    """Draw rows, ask for their images, and say what that means for the table.

    Args:
        stage: made with `impatient(section)`; what it finds out is in its ledger, for the fetch.
        tables: the ingested rows.
        section: the recipe's own, by which the cost of the whole is judged.
        num_rows: size of the sample; a table with fewer rows is checked whole.
        seconds: when to stop asking, counted from now.
    """
    started = time.monotonic()
    rows = draw(tables, num_rows=num_rows)
    cost = Cost(links_by_host(tables), per_host=section.per_host, concurrency=section.concurrency)
    # Ten million rows take half a minute to draw from and to count; some seconds of asking must be left all the same.
    left = max(min(seconds, SHORTEST_ASKING_SECONDS), seconds - (time.monotonic() - started))
    try:
        endings = stage.look(rows, seconds=left)
    finally:
        stage.close()
    sampled = sampled_rows(rows, endings, min_products=section.placeholder_min_products)
    return check(sampled, table_rows=tables.num_kept(), cost=cost, seconds=time.monotonic() - started)


def sampled_rows(rows: pa.Table, endings: Mapping[str, LinkResult], *, min_products: int) -> list[SampledRow]:
    """Rows with their endings by `row_id`; an image that many sampled products share is a placeholder already here."""
    table = rows.to_pylist()
    products = _products(table, endings)
    sampled = []
    for row in table:
        result = endings.get(row["row_id"])
        num_products = products.get(row["row_id"], 1)
        if result is not None and result.status is FetchStatus.OK and num_products >= min_products:
            result = replace(result, status=FetchStatus.PLACEHOLDER)
        host = _host(row["image_url"]) if row["image_blob"] is None else None
        sampled.append(SampledRow(row["name"], row["image_url"] or "", host, result, num_products))
    return sampled


def links_by_host(tables: StageTables) -> dict[str, int]:
    """Distinct links of the ingested table by host."""
    files = [str(path) for path in tables.kept_paths()]
    with open_database() as database:
        found = database.execute(_LINKS, {"files": files}).fetchall()
    return dict(found)


def _products(table: list[dict[str, Any]], endings: Mapping[str, LinkResult]) -> Counter[str]:
    """How many products share the row's image, by `row_id`."""
    images = {row_id: result.image.sha256 for row_id, result in endings.items() if result.image is not None}
    live = [
        {"row_id": row["row_id"], "product_code": row["product_code"], "image_sha256": images[row["row_id"]]}
        for row in table
        if row["row_id"] in images
    ]
    schema = pa.schema([(name, pa.string()) for name in ("row_id", "product_code", "image_sha256")])
    shared = shared_images(pa.Table.from_pylist(live, schema=schema), min_products=2)
    return Counter({row_id: num_products for row_id, _, num_products in shared})


def _host(url: str | None) -> str | None:
    try:
        return parse_link(url or "").host
    except LinkFailed:
        return None
