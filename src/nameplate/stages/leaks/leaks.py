"""The leak audit, from a split to its leaks. Read `run_leaks` first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

import duckdb
import pyarrow as pa

from nameplate import __version__
from nameplate.progress import Progress, bar
from nameplate.records import SplitName
from nameplate.stages.leaks.captions import find_near_captions, num_captions
from nameplate.stages.leaks.database import one, opened
from nameplate.stages.leaks.exact import find_equal
from nameplate.stages.leaks.images import find_near_images, num_hashed
from nameplate.stages.leaks.pixels import Likeness
from nameplate.stages.leaks.results import (
    HELD_OUT,
    Example,
    KindFigures,
    LeakChoices,
    LeakKind,
    LeakSummary,
    Level,
    Pair,
    proportion,
    write_leaks,
)
from nameplate.stages.leaks.scored import with_and_without
from nameplate.store.rundir import RunDirectory

EXAMPLES: Final = 24
_LEVELS: Final[tuple[Level, ...]] = ("leak", "suspicion")
_PLACES: Final = {kind: place for place, kind in enumerate(LeakKind)}

_SHOWN: Final = """
    SELECT shown.place, rows.row_id, rows.name, rows.title, rows.caption, rows.image_sha256, rows.image_ext
    FROM shown JOIN {view} AS rows ON rows.row_id = shown.{column}
"""


def run_leaks(choices: LeakChoices, *, run: RunDirectory, split: str, progress: Progress) -> LeakSummary:
    """Lay validation and test beside training, and write what they have in common to `leaks/`.

    Time grows with the rows, and with the candidates that each held-out row has, of which at most a few dozen are
    looked at; memory with the held-out rows alone.

    Args:
        choices: how near images may be.
        run: whose split, and whose scores if there are any.
        split: fingerprint of the split.
        progress: shows how far it is.
    """
    with opened(run) as database:
        likeness = Likeness(run.images)
        equal = find_equal(database)
        hashed, captions = num_hashed(database), num_captions(database)
        with bar(progress, "leaks", hashed + captions) as advance:
            images = find_near_images(database, likeness, bits=choices.bits, advance=advance)
            advance(hashed - len(images))
            texts = find_near_captions(database, advance=advance)
        pairs = sorted(chain(equal.pairs, images, texts), key=_order)
        leaked = {pair.row_id for pair in pairs if pair.level == "leak"}
        summary = LeakSummary(
            nameplate=__version__,
            split=split,
            bits=choices.bits,
            train=one(database, "SELECT count(*) FROM train")[0],
            kinds=list(_kinds(pairs)),
            leaked=_shares(database, pairs, "leak", without=set()),
            suspected=_shares(database, pairs, "suspicion", without=leaked),
            examples=_examples(database, pairs),
            notes=[*equal.notes, *_unread(likeness)],
            scored=with_and_without(database, run, leaked),
            sentence="",
        )
    summary = summary.model_copy(update={"sentence": in_words(summary)})
    write_leaks(run, summary, pairs)
    return summary


def in_words(summary: LeakSummary) -> str:
    """The finding as one sentence."""
    found = [f"{share.count:,} of {share.n:,} {split} rows" for split, share in summary.leaked.items() if share.count]
    suspected = sum(share.count for share in summary.suspected.values())
    doubts = f"; {suspected:,} more are under suspicion" if suspected else ""
    if not found:
        rows = sum(share.n for share in summary.leaked.values())
        doubts = f"; {suspected:,} are under suspicion" if suspected else ""
        return f"No leak: none of {rows:,} held-out rows is known from {summary.train:,} training rows{doubts}."
    return f"Leaks: {' and '.join(found)} are known from training{doubts}."


def _order(pair: Pair) -> tuple[int, int, str, str]:
    return _LEVELS.index(pair.level), _PLACES[pair.kind], pair.split, pair.row_id


def _kinds(pairs: Sequence[Pair]) -> Iterator[KindFigures]:
    counts = Counter((pair.level, pair.kind, pair.split) for pair in pairs)
    for level in _LEVELS:
        for kind in LeakKind:
            rows = {split: counts[level, kind, split] for split in HELD_OUT}
            if any(rows.values()):
                yield KindFigures(kind=kind, level=level, rows=rows)


def _shares(
    database: duckdb.DuckDBPyConnection, pairs: Sequence[Pair], level: Level, *, without: set[str]
) -> dict[SplitName, Any]:
    rows: dict[SplitName, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.level == level and pair.row_id not in without:
            rows[pair.split].add(pair.row_id)
    sizes = dict(database.execute("SELECT split, count(*) FROM held GROUP BY split").fetchall())
    return {split: proportion(len(rows[split]), sizes.get(split, 0)) for split in HELD_OUT}


def _unread(likeness: Likeness) -> list[str]:
    if not likeness.unreadable:
        return []
    return [f"{likeness.unreadable:,} images could not be read, so their likeness rests on perceptual hashes alone"]


def _examples(database: duckdb.DuckDBPyConnection, pairs: Sequence[Pair]) -> list[Example]:
    """A few pairs, every kind in turn, leaks first; nobody picks them."""
    chosen: list[Pair] = []
    for level in _LEVELS:
        queues = [[pair for pair in pairs if (pair.level, pair.kind) == (level, kind)] for kind in LeakKind]
        chosen += [pair for row in zip_longest(*(queue[:EXAMPLES] for queue in queues)) for pair in row if pair]
    shown_once: dict[tuple[str, str], Pair] = {}
    for pair in chosen:
        # What two rows share in several ways is shown once, by the first.
        shown_once.setdefault((pair.row_id, pair.train_row), pair)
    chosen = list(shown_once.values())[:EXAMPLES]
    shown = pa.table(
        {
            "place": range(len(chosen)),
            "row_id": pa.array([pair.row_id for pair in chosen], pa.string()),
            "train_row": pa.array([pair.train_row for pair in chosen], pa.string()),
        }
    )
    database.register("shown", shown)
    held, train = (_read(database, view, column) for view, column in (("held", "row_id"), ("train", "train_row")))
    database.unregister("shown")
    return [_example(pair, held[place], train[place]) for place, pair in enumerate(chosen)]


def _read(database: duckdb.DuckDBPyConnection, view: str, column: str) -> dict[int, dict[str, str]]:
    rows = database.execute(_SHOWN.format(view=view, column=column)).fetchall()
    columns = ("name", "title", "caption", "sha256", "ext")
    return {row[0]: {column: value or "" for column, value in zip(columns, row[2:], strict=True)} for row in rows}


def _example(pair: Pair, held: Mapping[str, str], train: Mapping[str, str]) -> Example:
    return Example(
        row_id=pair.row_id,
        split=pair.split,
        train_row=pair.train_row,
        kind=pair.kind,
        level=pair.level,
        matches=pair.matches,
        distance=pair.distance,
        difference=pair.difference,
        names=(held["name"], train["name"]),
        titles=(held["title"], train["title"]),
        captions=(held["caption"], train["caption"]),
        images=((held["sha256"], held["ext"]), (train["sha256"], train["ext"])),
    )
