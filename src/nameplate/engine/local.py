"""Run a row stage in the caller's process, shard by shard, skipping the shards that are already there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from nameplate.engine.base import Shard, ShardStage, StageOutcome
from nameplate.progress import Progress, bar
from nameplate.store.tables import StageTables


def run_stage(
    stage: ShardStage, inputs: Iterable[Shard], *, tables: StageTables, progress: Progress, total: int | None = None
) -> StageOutcome:
    """Run `stage` over `inputs` and write `tables`.

    Args:
        stage: decides for each row.
        inputs: the shards; a finished one is not loaded again.
        tables: where the stage's shards are written.
        progress: shows how far it is.
        total: number of rows to come, if known.
    """
    with bar(progress, stage.name, total) as advance:
        for shard in inputs:
            if tables.is_finished(shard.index):
                advance(_rows_of(tables, shard.index))
                continue
            rows = shard.load()
            result = stage.run_shard(rows, advance)
            accounted = result.kept.num_rows + result.rejected.num_rows
            assert accounted == rows.num_rows, f"{stage.name}: read {rows.num_rows} rows, accounted for {accounted}"
            tables.write(shard.index, result.kept, result.rejected)
    tables.move_to_rejected(stage.second_look(tables))
    details = stage.finish(tables)
    kept, rejected = tables.num_kept(), tables.reasons()
    return StageOutcome(read=kept + sum(rejected.values()), kept=kept, rejected=rejected, details=details)


def file_shards(paths: Iterable[Path]) -> list[Shard]:
    """The kept shards of the stage before, under the same indices."""
    return [Shard.of_file(int(path.stem.removeprefix("part-")), path) for path in paths]


def _rows_of(tables: StageTables, index: int) -> int:
    paths = (tables.kept_path(index), tables.rejected_path(index))
    return sum(pq.read_metadata(path).num_rows for path in paths)
