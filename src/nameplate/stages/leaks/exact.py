"""What is equal in a held-out row and a training row: one join for each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import duckdb

from nameplate.stages.leaks.database import one
from nameplate.stages.leaks.results import LeakKind, Level, Pair, held_out

HABIT: Final = 0.01
"""Where so large a share of training rows has its caption (title) in common with another product, equal ones are this
table's habit."""
MANY_PRODUCTS: Final = 20
"""A page that more training products share is no product's page."""
SURE_WORDS: Final = 20
"""An equal caption of fewer words may truly fit two products."""

_SHARED: Final = """
    SELECT held.row_id, held.split, train.train_row, train.matches, train.products, length(held.{key}) -
        length(replace(held.{key}, ' ', '')) + 1
    FROM held JOIN (
        SELECT {key}, count(*) AS matches, count(DISTINCT product) AS products, min(row_id) AS train_row
        FROM train WHERE {key} IN (SELECT {key} FROM held WHERE {key} IS NOT NULL) GROUP BY {key}
    ) AS train USING ({key})
    ORDER BY held.row_id
"""
_REPEATS: Final = """
    SELECT coalesce(sum(rows) FILTER (products > 1), 0), coalesce(sum(rows), 0)
    FROM (
        SELECT count(*) AS rows, count(DISTINCT product) AS products FROM train WHERE {key} IS NOT NULL GROUP BY {key}
    )
"""
_CERTAIN: Final = (LeakKind.IMAGE, LeakKind.SOURCE_IMAGE, LeakKind.GROUP, LeakKind.PRODUCT_CODE)


@dataclass
class Equal:
    """Pairs, and what equal values mean in this table."""

    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_equal(database: duckdb.DuckDBPyConnection) -> Equal:
    """All kinds in which equality counts; a held-out row and kind give one pair, with the first training row."""
    found = Equal()
    for kind in _CERTAIN:
        found.pairs += [_pair(row, kind, "leak") for row in _rows(database, kind)]
    for row in _rows(database, LeakKind.PAGE):
        found.pairs.append(_pair(row, LeakKind.PAGE, "leak" if row.products <= MANY_PRODUCTS else "suspicion"))
    _add_captions(database, found)
    _add_titles(database, found)
    return found


@dataclass(frozen=True)
class _Row:
    row_id: str
    split: str
    train_row: str
    matches: int
    products: int
    words: int


def _rows(database: duckdb.DuckDBPyConnection, kind: LeakKind) -> Iterator[_Row]:
    for row in database.execute(_SHARED.format(key=f"{kind.value}_key")).fetchall():
        yield _Row(*row)


def _pair(row: _Row, kind: LeakKind, level: Level) -> Pair:
    return Pair(row.row_id, held_out(row.split), row.train_row, kind, level, row.matches)


def _add_captions(database: duckdb.DuckDBPyConnection, found: Equal) -> None:
    """Equal long captions are one product's, unless different products have them in common all over the table."""
    shared = list(_rows(database, LeakKind.CAPTION))
    habit = _habit(database, LeakKind.CAPTION) if shared else 0.0
    sure = habit <= HABIT
    for row in shared:
        found.pairs.append(_pair(row, LeakKind.CAPTION, "leak" if sure and row.words >= SURE_WORDS else "suspicion"))
    if not sure:
        found.notes.append(
            f"{habit:.0%} of the training captions stand under several products, so an equal caption is a suspicion"
        )


def _add_titles(database: duckdb.DuckDBPyConnection, found: Equal) -> None:
    """Equal titles are a suspicion at most: there are many "Cotton T-shirt" of one name."""
    shared = list(_rows(database, LeakKind.TITLE))
    habit = _habit(database, LeakKind.TITLE) if shared else 0.0
    if habit > HABIT:
        found.notes.append(
            f"{habit:.0%} of the training titles stand under several products of their name, so equal titles say "
            f"nothing ({len(shared):,} held-out rows have one)"
        )
        return
    found.pairs += [_pair(row, LeakKind.TITLE, "suspicion") for row in shared]


def _habit(database: duckdb.DuckDBPyConnection, kind: LeakKind) -> float:
    repeated, rows = one(database, _REPEATS.format(key=f"{kind.value}_key"))
    return float(repeated) / max(1, int(rows))
