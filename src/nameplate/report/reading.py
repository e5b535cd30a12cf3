"""Reading a run's shards for the page: only the columns that are shown, shard by shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.records import StageName
from nameplate.store.rundir import RunDirectory


def kept_paths(run: RunDirectory, stage: StageName) -> list[Path]:
    """Files of the rows that a stage kept."""
    return run.tables(stage).kept_paths()


def rejected_paths(run: RunDirectory, stage: StageName) -> list[Path]:
    """Files of the rows that a stage rejected."""
    return sorted((run.folder(stage) / "rejected").glob("part-*.parquet"))


def iter_columns(paths: Iterable[Path], columns: list[str]) -> Iterator[dict[str, Any]]:
    """Rows with those of `columns` that the files have."""
    for path in paths:
        known = set(pq.read_schema(path).names)
        yield from pq.read_table(path, columns=[column for column in columns if column in known]).to_pylist()


def count_values(paths: Iterable[Path], column: str) -> Counter[Any]:
    """How often each value stands in a column; lists count by their items, null as None."""
    counts: Counter[Any] = Counter()
    for path in paths:
        values = pq.read_table(path, columns=[column])[column]
        if pa.types.is_list(values.type):
            values = values.combine_chunks().flatten()
        for item in values.value_counts().to_pylist():
            counts[item["values"]] += item["counts"]
    return counts
