"""Large tables: read in bounded memory, in shards that grow with the table, and continued where they stopped."""

from __future__ import annotations

import tracemalloc
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import pytest

from nameplate.engine import LocalEngine
from nameplate.errors import InputError
from nameplate.progress import SilentProgress
from nameplate.recipe import NameSection, TableSection
from nameplate.stages.ingest import IngestStage, map_columns
from nameplate.stages.ingest.intake import rows_per_shard
from nameplate.stages.ingest.sources import RawRow, Source
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables


class Generated(Source):
    """As many rows as wanted, made when they are asked for."""

    name = "generated"
    columns = ("brand", "imageurl", "id", "note")
    image_columns = frozenset[str]()

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self.asked: list[Collection[str] | None] = []

    def rows(self, *, limit: int | None = None, columns: Collection[str] | None = None) -> Iterator[RawRow]:
        self.asked.append(columns)
        return islice(self._rows(set(self.columns if columns is None else columns)), limit)

    def _rows(self, wanted: set[str]) -> Iterator[RawRow]:
        for line in range(1, self.num_rows + 1):
            row = {
                "brand": f"Brand {line % 50}",
                "imageurl": f"http://a/{line}.jpg",
                "id": f"P{line}",
                "note": "x" * 50,
            }
            yield RawRow(line, {name: cell for name, cell in row.items() if name in wanted})

    def fingerprint(self) -> str:
        return str(self.num_rows)


def stage_for(source: Source, out: Path, **section: object) -> IngestStage:
    table = TableSection.model_validate({"source": "generated", "image": "imageurl", **section})
    columns = map_columns(table, NameSection(), source=source)
    tables, images = StageTables(out, "ingest"), ImageStore(out / "images")
    return IngestStage(table, columns=columns, source=source, overrides=None, images=images, tables=tables)


def run(stage: IngestStage, out: Path) -> StageTables:
    tables = StageTables(out, "ingest")
    LocalEngine().run(stage, stage.shards(), tables=tables, progress=SilentProgress())
    return tables


@pytest.mark.parametrize(
    ("num_rows", "size"), [(1, 1000), (256_000, 1000), (512_000, 2000), (2_560_000, 10_000), (10_000_000, 10_000)]
)
def test_shards_grow_with_the_table(num_rows: int, size: int) -> None:
    assert rows_per_shard(num_rows) == size


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    peaks = []
    for num_rows in (10_000, 150_000):
        stage = stage_for(Generated(num_rows), tmp_path / str(num_rows), id="id")
        tracemalloc.start()
        stage.prepare([])
        tables = run(stage, tmp_path / str(num_rows))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert tables.num_kept() == num_rows
    # 140,000 ids more are 1.1 MB; the rows themselves would be 50 MB.
    assert peaks[1] - peaks[0] < 3_000_000


def test_the_table_is_read_twice_the_first_time_only_for_its_names(tmp_path: Path) -> None:
    source = Generated(10)
    stage = stage_for(source, tmp_path)
    stage.prepare([])
    run(stage, tmp_path)
    assert source.asked == [("brand",), list(source.columns)]


def test_a_resumed_run_cuts_the_same_shards(tmp_path: Path) -> None:
    whole, again = tmp_path / "whole", tmp_path / "again"
    for out in (whole, again):
        stage = stage_for(Generated(5000), out, id="id")
        stage.prepare([])
        run(stage, out)
    kept = StageTables(again, "ingest")
    for index in (3, 4):
        kept.kept_path(index).unlink()
    stage = stage_for(Generated(5000), again, id="id")
    stage.prepare([])
    tables = run(stage, again)
    assert tables.reasons() == {}
    assert tables.read_kept().equals(StageTables(whole, "ingest").read_kept())


def test_a_table_that_shrinks_while_it_is_read_stops_the_run(tmp_path: Path) -> None:
    source = Generated(2500)
    stage = stage_for(source, tmp_path)
    stage.prepare([])
    source.num_rows = 2400
    with pytest.raises(InputError, match="changes while it is read"):
        run(stage, tmp_path)


def test_the_rate_is_told(tmp_path: Path) -> None:
    stage = stage_for(Generated(3000), tmp_path)
    stage.prepare([])
    outcome = LocalEngine().run(
        stage, stage.shards(), tables=StageTables(tmp_path, "ingest"), progress=SilentProgress()
    )
    assert outcome.details["rows_per_second"] > 0
