"""Asking a second time for what a finished fetch did not get, and putting what came back where it belongs."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.engine import Engine, Shard
from nameplate.progress import Progress
from nameplate.records import SCHEMAS, FetchStatus, rejected_schema
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.stage import FetchStage
from nameplate.store.tables import StageTables


class AskedAgain(NamedTuple):
    """What a second asking gave."""

    failed_rows: int
    """Rows without an image before it."""
    links: int
    """Links that were asked: the others have failed for good, as far as the ledger knows."""
    came_back: int
    """Rows that have an image now."""


def ask_again(
    stage: FetchStage, tables: StageTables, *, engine: Engine, progress: Progress, aside: StageTables
) -> AskedAgain:
    """Ask for the images of all failed rows; whether a link is asked or known to be gone, the ledger decides.

    `tables` stay as they are: the rows are written `aside`, for `merge_back`.
    """
    shutil.rmtree(aside.folder, ignore_errors=True)
    paths = sorted((tables.folder / "rejected").glob("part-*.parquet"))
    shards = [Shard(_index(path), partial(_failed_rows, path)) for path in paths if _num_failed(path)]
    outcome = engine.run(stage, shards, tables=aside, progress=progress, total=sum(_num_failed(path) for path in paths))
    figures = LinkFigures.merge(aside.figures())
    return AskedAgain(outcome.read, figures.links - figures.known, outcome.kept)


def merge_back(tables: StageTables, *, aside: StageTables, inputs: StageTables) -> None:
    """Write the shards again with the newer endings, in the order of the stage's input.

    A shard is taken away before it is written: whoever is killed in between finds it unfinished, and makes it again.
    """
    for path in aside.kept_paths():
        index = _index(path)
        kept = _stacked(tables.kept_path(index), path, schema=SCHEMAS["fetch"])
        placeholders = _read(tables.rejected_path(index), placeholders=True)
        rejected = pa.concat_tables([placeholders, _plain(aside.rejected_path(index), rejected_schema("fetch"))])
        order = pq.read_table(inputs.kept_path(index), columns=["row_id"])["row_id"].combine_chunks()
        figures = LinkFigures.merge([_figures(tables, index), _figures(aside, index)]).as_json()
        tables.kept_path(index).unlink()
        tables.write(index, _in_order(kept, order), _in_order(rejected, order), figures)
    shutil.rmtree(aside.folder, ignore_errors=True)


def _index(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))


def _figures(tables: StageTables, index: int) -> dict[str, Any]:
    path = tables.figures_path(index)
    if not path.exists():
        return {}
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def _failed_rows(path: Path) -> pa.Table:
    """The rows as they came into the stage; a placeholder is no failed link."""
    return _read(path, placeholders=False).select(SCHEMAS["ingest"].names)


def _num_failed(path: Path) -> int:
    reasons = pq.read_table(path, columns=["reason"])["reason"]
    return int(pc.sum(pc.not_equal(reasons, FetchStatus.PLACEHOLDER)).as_py() or 0)


def _read(path: Path, *, placeholders: bool) -> pa.Table:
    rows = _plain(path, rejected_schema("fetch"))
    are = pc.equal(rows["reason"], FetchStatus.PLACEHOLDER)
    return rows.filter(are if placeholders else pc.invert(are))


def _stacked(*paths: Path, schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([_plain(path, schema) for path in paths])


def _plain(path: Path, schema: pa.Schema) -> pa.Table:
    return pq.read_table(path).cast(schema)


def _in_order(rows: pa.Table, order: pa.Array) -> pa.Table:
    return rows.take(pc.sort_indices(pc.index_in(rows["row_id"], value_set=order)))
