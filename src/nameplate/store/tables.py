"""A stage's folder of Parquet shards: `part-00000.parquet` for kept rows, `rejected/` for the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.records import SCHEMAS, StageName, rejected_schema
from nameplate.store.files import replacing, write_json


class StageTables:
    """The shards of one stage."""

    def __init__(self, folder: Path, stage: StageName) -> None:
        self.folder = folder
        self.stage = stage

    def kept_path(self, index: int) -> Path:
        """File of the kept rows of shard `index`."""
        return self.folder / f"part-{index:05d}.parquet"

    def rejected_path(self, index: int) -> Path:
        """File of the rejected rows of shard `index`."""
        return self.folder / "rejected" / f"part-{index:05d}.parquet"

    def figures_path(self, index: int) -> Path:
        """File of how the work on shard `index` went."""
        return self.folder / "figures" / f"part-{index:05d}.json"

    def is_finished(self, index: int) -> bool:
        """Whether the shard was written whole. The kept file is written last, so it decides."""
        return self.kept_path(index).exists()

    def write(self, index: int, kept: pa.Table, rejected: pa.Table, figures: dict[str, Any] | None = None) -> None:
        """Write one shard: figures if any, rejected rows, then the kept rows, each in one step."""
        if figures:
            write_json(self.figures_path(index), figures)
        _write(self.rejected_path(index), rejected.cast(rejected_schema(self.stage)))
        _write(self.kept_path(index), kept.cast(SCHEMAS[self.stage]))

    def kept_paths(self) -> list[Path]:
        """Files of kept rows, in order."""
        return sorted(self.folder.glob("part-*.parquet"))

    def figures(self) -> Iterator[dict[str, Any]]:
        """How the work on each shard went, in order, for the shards that say so."""
        for path in sorted((self.folder / "figures").glob("part-*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))

    def read_kept(self) -> pa.Table:
        """All kept rows."""
        return _read_all(self.kept_paths(), SCHEMAS[self.stage])

    def read_rejected(self) -> pa.Table:
        """All rejected rows, with `reason` and `detail`."""
        return _read_all(sorted((self.folder / "rejected").glob("part-*.parquet")), rejected_schema(self.stage))

    def reasons(self) -> dict[str, int]:
        """Rejected rows by reason code, most frequent first."""
        counts: dict[str, int] = {}
        for path in sorted((self.folder / "rejected").glob("part-*.parquet")):
            column = pq.read_table(path, columns=["reason"])["reason"]
            for item in pc.value_counts(column).to_pylist():
                counts[item["values"]] = counts.get(item["values"], 0) + item["counts"]
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def num_kept(self) -> int:
        """Number of kept rows, from the files' footers."""
        return sum(pq.read_metadata(path).num_rows for path in self.kept_paths())

    def move_to_rejected(self, moves: dict[str, tuple[str, str]]) -> None:
        """Reject rows that only the whole table shows to be bad: `row_id -> (reason, detail)`.

        Safe to repeat after a crash: a row that already stands among the rejected is not written twice.
        """
        moving = pa.array(list(moves), pa.string())
        for path in self.kept_paths() if moves else []:
            kept = pq.read_table(path)
            mask = pc.is_in(kept["row_id"], value_set=moving)
            moved = kept.filter(mask)
            if moved.num_rows == 0:
                continue
            index = int(path.stem.removeprefix("part-"))
            verdicts = [moves[row_id] for row_id in moved["row_id"].to_pylist()]
            moved = moved.append_column("reason", pa.array([reason for reason, _ in verdicts], pa.string()))
            moved = moved.append_column("detail", pa.array([detail for _, detail in verdicts], pa.string()))
            earlier = pq.read_table(self.rejected_path(index))
            earlier = earlier.filter(pc.invert(pc.is_in(earlier["row_id"], value_set=moved["row_id"].combine_chunks())))
            self.write(index, kept.filter(pc.invert(mask)), pa.concat_tables([earlier, moved.cast(earlier.schema)]))


def _write(path: Path, table: pa.Table) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read_all(paths: list[Path], schema: pa.Schema) -> pa.Table:
    if not paths:
        return schema.empty_table()
    return pa.concat_tables([pq.read_table(path, schema=schema) for path in paths])
