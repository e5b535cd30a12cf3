"""Questions to the finished table: which image stands for "no image", and how the hosts did."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow.parquet as pq

from nameplate.engine import Moves
from nameplate.records import FetchStatus
from nameplate.store.tables import StageTables

TOP_HOSTS = 20

_SHARED_IMAGES = """
WITH products AS (
    SELECT row_id, image_sha256,
           coalesce('code ' || regexp_replace(product_code, '^(.+)[-_][^-_]*$', '\\1'), 'row ' || row_id) AS product
    FROM read_parquet($files)
), shared AS (
    SELECT image_sha256, count(DISTINCT product) AS num_products
    FROM products GROUP BY image_sha256 HAVING num_products >= $min_products
)
SELECT row_id, num_products FROM products JOIN shared USING (image_sha256)
"""


def find_placeholders(tables: StageTables, *, min_products: int) -> Moves:
    """Kept rows whose image is shared by at least `min_products` different products.

    Two codes are one product when they are equal up to their last "-" or "_", so that variants in several colours may
    share a picture; a row without a code is a product of its own. A catalogue whose codes differ only behind the last
    separator ("SHOP-0001", "SHOP-0002") is one product to this rule, and its placeholders stay unseen.
    """
    files = [str(path) for path in tables.kept_paths()]
    if not files:
        return {}
    with duckdb.connect() as database:
        found = database.execute(_SHARED_IMAGES, {"files": files, "min_products": min_products}).fetchall()
    return {row_id: (FetchStatus.PLACEHOLDER, f"one image for {count} products") for row_id, count in found}


def hosts_and_bytes(tables: StageTables) -> dict[str, Any]:
    """Figures of the finished table: bytes of distinct kept images, and links by host, busiest hosts first."""
    outcomes: dict[str, Counter[str]] = {}
    images: dict[str, int] = {}
    for path in tables.kept_paths():
        rows = pq.read_table(path, columns=["image_url", "image_sha256", "image_bytes"])
        images.update(zip(rows["image_sha256"].to_pylist(), rows["image_bytes"].to_pylist(), strict=True))
        _count_hosts(outcomes, rows["image_url"].to_pylist(), "ok")
        _count_hosts(outcomes, _urls(tables.rejected_path(int(path.stem.removeprefix("part-")))), "failed")
    busiest = sorted(outcomes, key=lambda host: (-outcomes[host].total(), host))[:TOP_HOSTS]
    hosts = {host: {"ok": outcomes[host]["ok"], "failed": outcomes[host]["failed"]} for host in busiest}
    return {"bytes": sum(images.values()), "hosts": hosts}


def _urls(path: Path) -> list[str | None]:
    urls: list[str | None] = pq.read_table(path, columns=["image_url"])["image_url"].to_pylist()
    return urls


def _count_hosts(outcomes: dict[str, Counter[str]], urls: list[str | None], outcome: str) -> None:
    for url in urls:
        host = _host(url)
        if host:
            outcomes.setdefault(host, Counter())[outcome] += 1


def _host(url: str | None) -> str | None:
    try:
        return urlsplit((url or "").strip()).hostname
    except ValueError:
        return None
