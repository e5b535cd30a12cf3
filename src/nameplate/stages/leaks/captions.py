"""Nearly equal captions of held-out and training rows: a suspicion, since a teacher repeats itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from nameplate.progress import Advance
from nameplate.stages.leaks.database import one
from nameplate.stages.leaks.results import LeakKind, Pair, held_out
from nameplate.stages.leaks.shingles import BANDS, Shingles, band_keys, jaccard, shingle

NEAR: Final = 0.75
"""Share of three-word shingles in common. Of the demo's captions none reaches 0.65 with another product's; one changed
word in a caption of 27 leaves 0.79, in one of 60 0.90."""
MOST_PER_KEY: Final = 8
"""Training captions of one band that are compared with a held-out one: where a template makes all meet, a few do."""
_BATCH: Final = 32_768

# Equal captions are another kind's business; here each text counts once, with its number of rows.
_TEXTS: Final = """
    SELECT caption_key, min(row_id) AS row_id, count(*) AS rows FROM {view}
    WHERE caption_key IS NOT NULL GROUP BY caption_key ORDER BY caption_key
"""
_ROWS: Final = "SELECT caption_key, row_id, split FROM held WHERE caption_key IS NOT NULL ORDER BY row_id"


class _Nearest:
    """What was found for one held-out caption so far."""

    __slots__ = ("likeness", "matches", "train_row")

    def __init__(self) -> None:
        self.likeness, self.train_row, self.matches = 0.0, "", 0

    def meet(self, likeness: float, train_row: str, rows: int) -> None:
        self.matches += rows
        if (-likeness, train_row) < (-self.likeness, self.train_row):
            self.likeness, self.train_row = likeness, train_row


def find_near_captions(database: duckdb.DuckDBPyConnection, *, advance: Advance) -> list[Pair]:
    """For each held-out row the training caption most like its own, if it is near; equal ones left out."""
    texts: list[str] = [row[0] for row in database.execute(_TEXTS.format(view="held")).fetchall()]
    if not texts:
        return []
    held = shingle(texts)
    own = [held.of(place) for place in range(len(texts))]
    index, found = _Index(held), [_Nearest() for _ in texts]
    for batch in _batches(database):
        shingles = shingle(batch.texts)
        for place, other in index.meetings(band_keys(shingles)):
            if texts[place] == batch.texts[other]:
                continue
            likeness = jaccard(own[place], shingles.of(other))
            if likeness >= NEAR:
                found[place].meet(likeness, batch.row_ids[other], batch.rows[other])
        advance(sum(batch.rows))
    nearest = dict(zip(texts, found, strict=True))
    return [
        _pair(row_id, split, nearest[text])
        for text, row_id, split in database.execute(_ROWS).fetchall()
        if nearest[text].matches
    ]


def num_captions(database: duckdb.DuckDBPyConnection) -> int:
    """Training rows with a caption."""
    (count,) = one(database, "SELECT count(caption_key) FROM train")
    return int(count)


class _Batch(NamedTuple):
    """Different training captions, the first row of each, and its number of rows."""

    texts: list[str]
    row_ids: list[str]
    rows: list[int]


def _batches(database: duckdb.DuckDBPyConnection) -> Iterator[_Batch]:
    result = database.cursor().execute(_TEXTS.format(view="train"))
    while rows := result.fetchmany(_BATCH):
        texts, row_ids, counts = zip(*rows, strict=True)
        yield _Batch(list(texts), list(row_ids), list(counts))


class _Index:
    """Held-out captions by their keys, band by band."""

    def __init__(self, held: Shingles) -> None:
        keys = band_keys(held)
        filled = np.flatnonzero(np.diff(held.edges))
        self._bands = [_Band(keys[filled, band], filled) for band in range(BANDS)]

    def meetings(self, keys: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """Places of held-out and of given texts that share a key, each pair once."""
        met = np.concatenate([band.meet(keys[:, number]) for number, band in enumerate(self._bands)])
        return [(int(first), int(second)) for first, second in np.unique(met, axis=0)]


class _Band:
    def __init__(self, keys: NDArray[np.uint64], places: NDArray[np.int64]) -> None:
        order = np.argsort(keys, kind="stable")
        self._places = places[order]
        self._keys, self._starts = np.unique(keys[order], return_index=True)
        self._sizes = np.diff(np.append(self._starts, keys.size))
        self._met = np.zeros(self._keys.size, dtype=np.int64)

    def meet(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(num_meetings, 2); a key that met `MOST_PER_KEY` texts meets no more."""
        if not self._keys.size:
            return np.empty((0, 2), dtype=np.int64)
        found = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        hits = np.flatnonzero((self._keys[found] == keys) & (keys != 0))
        hits = hits[np.argsort(found[hits], kind="stable")]
        which = found[hits]
        rank = np.arange(which.size) - np.searchsorted(which, which)
        room = rank + self._met[which] < MOST_PER_KEY
        hits, which = hits[room], which[room]
        np.add.at(self._met, which, 1)
        sizes = self._sizes[which]
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return np.stack([self._places[np.repeat(self._starts[which], sizes) + within], np.repeat(hits, sizes)], -1)


def _pair(row_id: str, split: str, nearest: _Nearest) -> Pair:
    return Pair(
        row_id,
        held_out(split),
        nearest.train_row,
        LeakKind.NEAR_CAPTION,
        "suspicion",
        nearest.matches,
        distance=round(1 - nearest.likeness, 4),
    )
