"""Captions that only the whole table shows to be bad: one text for many products, such as a teacher's "An image"."""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import pyarrow as pa

from nameplate.engine import Moves
from nameplate.records import CleanReason
from nameplate.store.database import open_database
from nameplate.store.tables import StageTables

COLUMNS = ["row_id", "name", "caption", "image_phash", "image_sha256", "product_code"]
"""What has to be known of a row."""

# A short caption may truly fit many plain T-shirts of one name; a long one, or one under two names, fits none of them.
_LONG_BYTES = 120
_SHARED = """
    with captions as (
        select row_id, name,
            lower(regexp_replace(trim(caption), '\\s+', ' ', 'g')) as text,
            coalesce(image_phash, image_sha256, row_id) as picture,
            coalesce(nullif(product_code, ''), row_id) as product
        from cleaned
    ),
    shared as (
        select text, count(distinct picture) as pictures, count(distinct product) as products
        from captions
        group by text
        having least(pictures, products) >= $least
            and (count(distinct name) > 1 or max(name) = '' or strlen(text) >= $long)
    )
    select row_id, pictures, products from captions join shared using (text)
"""


class SharedText(NamedTuple):
    """Under how many pictures of how many products a row's caption stands."""

    pictures: int
    products: int


def find_shared_texts(tables: StageTables, *, shared_by: int | None) -> Moves:
    """Kept rows whose caption stands under so many different pictures of different products."""
    paths = list(map(str, tables.kept_paths()))
    if shared_by is None or not paths:
        return {}
    with open_database() as database:
        found = _count(database, database.read_parquet(paths), shared_by)
    return {
        row_id: (
            CleanReason.SHARED_TEXT.value,
            f"the same text under {shared.pictures} pictures of {shared.products} products",
        )
        for row_id, shared in found.items()
    }


def count_shared_texts(cleaned: pa.Table, *, least: int) -> dict[str, SharedText]:
    """The same for rows in memory with `COLUMNS`, with the counts."""
    with open_database() as database:
        return _count(database, database.from_arrow(cleaned), least)


def _count(database: duckdb.DuckDBPyConnection, cleaned: duckdb.DuckDBPyRelation, least: int) -> dict[str, SharedText]:
    """Pictures are told apart by what they look like (perceptual hash), products by their code, else by their row."""
    cleaned.create_view("cleaned")
    rows = database.execute(_SHARED, {"least": least, "long": _LONG_BYTES}).fetchall()
    return {row_id: SharedText(pictures, products) for row_id, pictures, products in rows}
