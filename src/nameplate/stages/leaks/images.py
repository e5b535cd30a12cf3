"""Nearly equal images: perceptual hashes find them, under all names, and the pixels decide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from nameplate.progress import Advance
from nameplate.stages.leaks.database import one
from nameplate.stages.leaks.hashes import nearest_across
from nameplate.stages.leaks.pixels import ONE_PICTURE, Likeness, StoredImage
from nameplate.stages.leaks.results import LeakKind, Pair, held_out

CANDIDATES: Final = 16
"""Training images that a held-out image is laid beside at most, and hashes that it is compared with further."""

_HASHES: Final = "SELECT DISTINCT phash FROM {view} WHERE phash IS NOT NULL ORDER BY phash"
# However many training images have one hash, a few stand for them.
_FEW: Final = f"""
    CREATE TABLE few AS
    SELECT * FROM (
        SELECT phash, image_sha256, any_value(image_ext) AS image_ext, min(row_id) AS train_row
        FROM train WHERE phash IN (SELECT train_hash FROM near) AND image_key IS NOT NULL GROUP BY phash, image_sha256
    )
    QUALIFY row_number() OVER (PARTITION BY phash ORDER BY train_row) <= {CANDIDATES}
"""
_COUNTS: Final = """
    CREATE TABLE counts AS
    SELECT phash, count(*) AS rows FROM train WHERE phash IN (SELECT train_hash FROM near) GROUP BY phash
"""
_BESIDE: Final = f"""
    WITH matches AS (
        SELECT held_hash, sum(rows) AS matches FROM near JOIN counts ON phash = train_hash GROUP BY held_hash
    )
    SELECT held.row_id, held.split, held.image_sha256, held.image_ext,
        few.train_row, few.image_sha256, few.image_ext, near.bits, matches.matches
    FROM held
    JOIN near ON near.held_hash = held.phash
    JOIN matches ON matches.held_hash = held.phash
    JOIN few ON few.phash = near.train_hash AND few.image_sha256 <> held.image_key
    QUALIFY row_number() OVER (PARTITION BY held.row_id ORDER BY near.bits, few.train_row) <= {CANDIDATES}
    ORDER BY held.row_id, near.bits, few.train_row
"""


class _Beside(NamedTuple):
    """A held-out image and a training image that may be the same picture."""

    row_id: str
    split: str
    image: StoredImage
    train_row: str
    train_image: StoredImage
    bits: int
    matches: int


def find_near_images(
    database: duckdb.DuckDBPyConnection, likeness: Likeness, *, bits: int, advance: Advance
) -> list[Pair]:
    """For each held-out row the training image most like its own, equal ones left out."""
    _add_near_hashes(database, bits)
    pairs = []
    for _, group in groupby(_beside(database), key=attrgetter("row_id")):
        pairs.append(_nearest(list(group), likeness))
        advance(1)
    return pairs


def _add_near_hashes(database: duckdb.DuckDBPyConnection, bits: int) -> None:
    held, train = (
        database.execute(_HASHES.format(view=view)).fetchnumpy()["phash"].astype(np.uint64)
        for view in ("held", "train")
    )
    near = nearest_across(held, train, bits=bits, most=CANDIDATES)
    found = pa.table({"held_hash": held[near.held], "train_hash": train[near.train], "bits": near.bits})
    database.register("near_hashes", found)
    database.execute("CREATE TABLE near AS SELECT * FROM near_hashes")
    database.unregister("near_hashes")
    database.execute(_FEW)
    database.execute(_COUNTS)


def _beside(database: duckdb.DuckDBPyConnection) -> Iterator[_Beside]:
    # A cursor reads on while others use the connection, and holds one chunk of rows at a time.
    found = database.cursor().execute(_BESIDE)
    while rows := found.fetchmany(10_000):
        yield from map(_read, rows)


def _read(row: tuple[Any, ...]) -> _Beside:
    row_id, split, sha256, ext, train_row, train_sha256, train_ext, bits, matches = row
    return _Beside(
        row_id, split, StoredImage(sha256, ext or ""), train_row, StoredImage(train_sha256, train_ext or ""), bits,
        int(matches),
    )  # fmt: skip


def _nearest(candidates: list[_Beside], likeness: Likeness) -> Pair:
    """The one whose pixels differ least; where none can be read, the one with the nearest hash."""
    seen = [(likeness.difference(each.image, each.train_image), each) for each in candidates]
    difference, best = min(seen, key=lambda pair: 2.0 if pair[0] is None else pair[0])
    same = difference is not None and difference <= ONE_PICTURE
    return Pair(
        best.row_id,
        held_out(best.split),
        best.train_row,
        LeakKind.NEAR_IMAGE,
        "leak" if same else "suspicion",
        best.matches,
        distance=float(best.bits),
        difference=difference,
    )


def num_hashed(database: duckdb.DuckDBPyConnection) -> int:
    """Held-out rows whose image has a hash."""
    (count,) = one(database, "SELECT count(phash) FROM held")
    return int(count)
