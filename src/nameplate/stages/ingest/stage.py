"""The stage: names resolved, nulls found, every unusable row kept with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from nameplate.engine import Shard, ShardResult, ShardStage
from nameplate.errors import InputError
from nameplate.names import Registry, build_registry
from nameplate.progress import Advance
from nameplate.recipe import TableSection
from nameplate.records import IngestReason
from nameplate.stages.ingest.columns import ColumnMap
from nameplate.stages.ingest.sources import RawRow, Source
from nameplate.store.files import write_text
from nameplate.store.tables import StageTables

VERSION = 1
ROWS_PER_SHARD = 1000

_RAW = pa.schema([("line", pa.int64()), ("cells", pa.string()), ("problem", pa.string())])


def source_shards(source: Source, *, limit: int | None) -> Iterator[Shard]:
    """Cut a table into shards of raw rows, in file order."""
    for index, rows in enumerate(_batches(source.rows(limit), ROWS_PER_SHARD)):
        yield Shard(index, partial(_raw_table, rows))


class IngestStage(ShardStage):
    """Turn raw rows into rows of one shape.

    Args:
        section: the recipe's `table`.
        columns: which column means what.
        source: the table, read once more beforehand to learn how its names are spelled.
        overrides: YAML registry of the user.
        seen: row ids of shards that an earlier try finished.
    """

    name = "ingest"

    def __init__(
        self, section: TableSection, *, columns: ColumnMap, source: Source, overrides: Path | None, seen: set[str]
    ) -> None:
        self._section = section
        self._columns = columns
        self._source = source
        self._overrides = overrides
        self._seen = seen
        self._nulls = frozenset(section.null_values)
        self._registry = Registry(())

    def prepare(self, inputs: Sequence[Path]) -> None:
        """Count the spellings of the name column and settle one display form for each name."""
        spellings: Counter[str] = Counter()
        num_rows = 0
        for row in self._source.rows(self._section.limit):
            num_rows += 1
            name = self._value(row.cells, self._columns.name)
            if row.problem is None and name is not None:
                spellings[name] += 1
        if num_rows == 0:
            raise InputError(str(self._source.path), found="a header and no rows", expected="at least one row")
        if self._columns.name is not None and not spellings:
            raise InputError(
                str(self._source.path),
                found=f"column '{self._columns.name}' holds no name in any row",
                expected="at least one row with a name",
                fix="check name.column, or the table's own state",
            )
        self._registry = build_registry(spellings, self._overrides)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Keep rows with a name and a link; reject the others by reason."""
        kept: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        for raw in rows.to_pylist():
            row = self._row(raw["line"], json.loads(raw["cells"]))
            reason, detail = self._reason(row, raw)
            if reason is None:
                self._seen.add(row["row_id"])
                kept.append({**row, "name": row["name"] or ""})
            else:
                rejected.append({**row, "name": row["name"] or "", "reason": reason, "detail": detail})
            advance(1)
        return self.result(kept, rejected)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Write the registry beside the rows; every later stage judges names by it."""
        write_text(tables.folder / "registry.json", self._registry.to_json())
        return {"names": len(self._registry.entries), "registry": self._registry.fingerprint}

    def _row(self, line: int, cells: dict[str, str]) -> dict[str, Any]:
        columns = self._columns
        name = self._value(cells, columns.name)
        entry = self._registry.lookup(name) if name is not None else None
        rest = {key: cell for key in cells if key not in columns.used() and (cell := self._value(cells, key))}
        return {
            "row_id": self._value(cells, columns.id) or f"{line:08d}",
            # A name without a letter or digit, such as a dash, is no name: no text could be found to say it.
            "name": entry.display if entry is not None else None,
            "title": self._value(cells, columns.title),
            "product_code": self._value(cells, columns.code),
            "category": self._value(cells, columns.category),
            "image_url": self._value(cells, columns.image),
            "page_url": self._value(cells, columns.page),
            "attributes": json.dumps(rest, ensure_ascii=False),
        }

    def _reason(self, row: dict[str, Any], raw: dict[str, Any]) -> tuple[IngestReason | None, str]:
        if raw["problem"] is not None:
            return IngestReason.MALFORMED, raw["problem"]
        where = f"line {raw['line']}"
        if self._columns.name is not None and row["name"] is None:
            return IngestReason.MISSING_NAME, f"{where}: '{self._columns.name}' holds no name"
        if row["image_url"] is None:
            return IngestReason.MISSING_IMAGE, f"{where}: '{self._columns.image}' is empty"
        if row["row_id"] in self._seen:
            return IngestReason.DUPLICATE_ID, f"{where}: id '{row['row_id']}' stands above already"
        return None, ""

    def _value(self, cells: dict[str, str], column: str | None) -> str | None:
        cell = cells.get(column, "").strip() if column is not None else ""
        return None if cell in self._nulls else cell


def _batches(rows: Iterator[RawRow], size: int) -> Iterator[tuple[RawRow, ...]]:
    while batch := tuple(islice(rows, size)):
        yield batch


def _raw_table(rows: Sequence[RawRow]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"line": row.line, "cells": json.dumps(row.cells), "problem": row.problem} for row in rows], schema=_RAW
    )
