"""The stage: names resolved, nulls found, every unusable row kept with its reason. It works in columns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.engine import Shard, ShardResult, ShardStage
from nameplate.errors import InputError
from nameplate.names import Registry, build_registry
from nameplate.progress import Advance
from nameplate.recipe import TableSection
from nameplate.records import ROW_FIELDS, IngestReason
from nameplate.stages.ingest.columns import ColumnMap
from nameplate.stages.ingest.intake import CELL, Intake
from nameplate.stages.ingest.pictures import Pictures
from nameplate.stages.ingest.presets import apply_rules
from nameplate.stages.ingest.seen import SeenIds
from nameplate.stages.ingest.shape import Verdicts, clean, json_objects, mapped, places
from nameplate.stages.ingest.sources import RawRow, Source
from nameplate.store.files import write_text
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

VERSION = 2


class IngestStage(ShardStage):
    """Turn raw rows into rows of one shape.

    The table is read twice: once for the spellings of its names alone, once for the rows.

    Args:
        section: the recipe's `table`.
        columns: which column means what.
        source: the table.
        overrides: YAML registry of the user.
        images: where images that come with the table are put.
        tables: what an earlier try has finished already.
    """

    name = "ingest"

    def __init__(
        self,
        section: TableSection,
        *,
        columns: ColumnMap,
        source: Source,
        overrides: Path | None,
        images: ImageStore,
        tables: StageTables,
    ) -> None:
        self._section = section
        self._columns = columns
        self._source = source
        self._overrides = overrides
        self._tables = tables
        self._nulls = columns.null_values | {""}
        self._null_values = pa.array(sorted(self._nulls), pa.string())
        self._pictures = Pictures(
            source, column=columns.image, root=section.image_root, nulls=self._nulls, store=images
        )
        self._registry = Registry(())
        self._displays: dict[str, str | None] = {}
        self._seen = SeenIds()
        self._last = time.monotonic()
        self.num_rows = 0

    def prepare(self, inputs: Sequence[Path]) -> None:
        """Count the rows and the spellings of the name column, and settle one display form for each name."""
        self._last = time.monotonic()
        spellings = self._count()
        if self.num_rows == 0:
            raise InputError(self._source.name, found="a header and no rows", expected="at least one row")
        if self._columns.name is not None and not spellings:
            raise InputError(
                self._source.name,
                found=f"column '{self._columns.name}' holds no name in any row",
                expected="at least one row with a name",
                fix="check name.column, or the table's own state",
            )
        self._registry = build_registry(spellings, self._overrides)
        if self._columns.id is not None:
            for path in self._tables.kept_paths():
                self._seen.add(pq.read_table(path, columns=["row_id"])["row_id"].to_pylist())

    def shards(self) -> Iterator[Shard]:
        """The table's rows, to be given to an engine after `prepare`."""
        others = self._source.image_columns - {self._columns.image}
        wanted = [column for column in self._source.columns if column not in others]
        intake = Intake(self._source, columns=wanted, pictures=self._pictures, is_wanted=self._has_name)
        return intake.shards(self.num_rows)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Keep rows with a name and an image or a link to one; reject the others by reason."""
        values = self._values(rows)
        verdicts = self._judge(rows, values)
        values = values.set_column(values.schema.get_field_index("name"), "name", pc.fill_null(values["name"], ""))
        kept, rejected = verdicts.divide(values)
        advance(rows.num_rows)
        # From one shard to the next, so that reading, writing and the first pass are all in the rate.
        now = time.monotonic()
        figures = {"rows": rows.num_rows, "seconds": now - self._last}
        self._last = now
        return ShardResult(kept, rejected, figures)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Write the registry beside the rows; every later stage judges names by it."""
        write_text(tables.folder / "registry.json", self._registry.to_json())
        rows = seconds = 0.0
        for figures in tables.figures():
            rows, seconds = rows + figures["rows"], seconds + figures["seconds"]
        return {
            "names": len(self._registry.entries),
            "registry": self._registry.fingerprint,
            "rows_per_second": round(rows / seconds) if seconds else None,
        }

    def _count(self) -> Counter[str]:
        name = self._columns.name
        raw: Counter[str] = Counter()
        self.num_rows = 0
        for row in self._source.rows(limit=self._section.limit, columns=() if name is None else (name,)):
            self.num_rows += 1
            if name is not None and row.problem is None:
                raw[row.cells.get(name, "")] += 1
        spellings: Counter[str] = Counter()
        for cell, count in raw.items():
            if (spelling := cell.strip()) not in self._nulls:
                spellings[spelling] += count
        return spellings

    def _display(self, spelling: str) -> str | None:
        """The name that a spelling stands for; none: it has no letter or digit, such as a dash, and is no name."""
        if spelling not in self._displays:
            entry = self._registry.lookup(spelling)
            self._displays[spelling] = entry.display if entry is not None else None
        return self._displays[spelling]

    def _has_name(self, row: RawRow) -> bool:
        if self._columns.name is None:
            return True
        spelling = row.cells.get(self._columns.name, "").strip()
        return spelling not in self._nulls and self._display(spelling) is not None

    def _values(self, rows: pa.Table) -> pa.Table:
        """The rows in the shape of `ROW_FIELDS`; a name that is not there is null for now."""
        own = self._columns
        raw = {name: rows[name].combine_chunks() for name in rows.column_names}
        cells = {
            name.removeprefix(CELL): clean(column, self._null_values)
            for name, column in raw.items()
            if name.startswith(CELL)
        }
        nothing = pa.nulls(rows.num_rows, pa.string())

        def column(name: str | None) -> pa.Array:
            return cells.get(name, nothing) if name is not None else nothing

        image = column(own.image)
        values = {
            "row_id": pc.coalesce(column(own.id), places(raw["file"], raw["line"])),
            "name": mapped(column(own.name), self._display),
            "title": column(own.title),
            "text": clean(mapped(column(own.text), self._ruled), self._null_values),
            "product_code": column(own.code),
            "category": column(own.category),
            "image_url": pc.if_else(pc.is_valid(raw["blob"]), pc.fill_null(image, ""), image),
            "image_blob": raw["blob"],
            "page_url": column(own.page),
            "attributes": json_objects({name: cells[name] for name in cells if name not in own.used()}, rows.num_rows),
        }
        return pa.table([values[field.name] for field in ROW_FIELDS], names=[field.name for field in ROW_FIELDS])

    def _ruled(self, text: str) -> str:
        return apply_rules(text, self._columns.text_rules)

    def _judge(self, rows: pa.Table, values: pa.Table) -> Verdicts:
        """Each rule in turn speaks for the rows that no rule before it has rejected."""
        own, verdicts = self._columns, Verdicts(rows)
        for index in verdicts.open(pc.is_valid(rows["problem"])):
            verdicts.reject(index, rows["reason"][index].as_py(), rows["problem"][index].as_py())
        if own.name is not None:
            for index in verdicts.open(pc.is_null(values["name"])):
                verdicts.reject_at(index, IngestReason.MISSING_NAME, f"'{own.name}' holds no name")
        for index in verdicts.open(pc.is_valid(rows["blob_reason"])):
            verdicts.reject_at(index, rows["blob_reason"][index].as_py(), rows["blob_detail"][index].as_py())
        for index in verdicts.open(pc.is_null(values["image_url"])):
            verdicts.reject_at(index, IngestReason.MISSING_IMAGE, f"'{own.image}' is empty")
        if own.id is not None:
            ids = values["row_id"].to_pylist()
            left = verdicts.open(None)
            for index in left[~self._seen.add(ids[index] for index in left)]:
                reason = f"id '{ids[index]}' stands above already"
                verdicts.reject_at(index, IngestReason.DUPLICATE_ID, reason)
        return verdicts
