"""The engine loops, counts and resumes; it never decides about a row. One body of tests for both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from nameplate.engine import Engine
from nameplate.errors import RunDirectoryError
from nameplate.progress import SilentProgress
from nameplate.store.tables import StageTables

from .gates import StopsWaiting
from .odd_rows import Fails, HasABug, LosesRows, OddRows, write_inputs

SIZES = (4, 3, 2, 6)


class Bar(SilentProgress):
    """Counts the steps of the last bar."""

    def __init__(self) -> None:
        self.steps = 0

    def task(self, label: str, total: int | None) -> Bar:
        self.steps = 0
        return self

    def advance(self, steps: int = 1) -> None:
        assert steps > 0
        self.steps += steps

    def close(self) -> None:
        pass


def test_every_row_is_kept_or_rejected_in_its_place(tmp_path: Path, engine: Engine) -> None:
    inputs, tables, bar = write_inputs(tmp_path / "in", *SIZES), StageTables(tmp_path / "out", "ingest"), Bar()
    stage = OddRows(tmp_path / "notes")
    outcome = engine.run(stage, inputs, tables=tables, progress=bar, total=15)
    assert (outcome.read, outcome.kept) == (15, 6)
    assert outcome.rejected == {"malformed": 8, "duplicate_id": 1}
    assert outcome.details == {"shards": 4, "rows": 15}
    assert tables.read_kept()["row_id"].to_pylist() == [f"{number:05d}" for number in range(3, 15, 2)]
    assert bar.steps == 15
    assert stage.looks == 1, "the whole table is looked at once, by the driver's own stage"
    assert sorted(path.name for path in tables.folder.iterdir() if path.is_file()) == [
        f"part-0000{index}.parquet" for index in range(4)
    ]


def test_finished_shards_are_not_run_again(tmp_path: Path, engine: Engine) -> None:
    inputs, tables, bar = write_inputs(tmp_path / "in", *SIZES), StageTables(tmp_path / "out", "ingest"), Bar()
    first = engine.run(OddRows(tmp_path / "notes"), inputs, tables=tables, progress=bar, total=15)
    tables.kept_path(1).unlink()
    again = OddRows(tmp_path / "again")
    assert engine.run(again, inputs, tables=tables, progress=bar, total=15) == first
    assert (again.times("ran-00004"), again.times("ran-")) == (1, 1)
    assert bar.steps == 15


def test_a_lost_row_is_our_mistake_and_stops_the_run(tmp_path: Path, engine: Engine) -> None:
    stage, tables = LosesRows(tmp_path / "notes"), StageTables(tmp_path / "out", "ingest")
    with pytest.raises(AssertionError, match="read 4 rows, accounted for 2"):
        engine.run(stage, write_inputs(tmp_path / "in", 4), tables=tables, progress=SilentProgress(), total=4)


def test_an_expected_failure_comes_out_as_itself_and_finished_shards_stay(tmp_path: Path, engine: Engine) -> None:
    inputs, tables = write_inputs(tmp_path / "in", *SIZES), StageTables(tmp_path / "out", "ingest")
    with pytest.raises(RunDirectoryError) as caught:
        engine.run(Fails(tmp_path / "notes"), inputs, tables=tables, progress=SilentProgress(), total=15)
    assert type(caught.value) is RunDirectoryError
    assert str(caught.value) == "shard: broken; expected whole; mend it"
    assert not tables.is_finished(1)
    stage = OddRows(tmp_path / "again")
    outcome = engine.run(stage, inputs, tables=tables, progress=SilentProgress(), total=15)
    assert outcome.read == 15


def test_a_bug_keeps_its_type_and_says_where_it_was(tmp_path: Path, engine: Engine) -> None:
    inputs, tables = write_inputs(tmp_path / "in", *SIZES), StageTables(tmp_path / "out", "ingest")
    with pytest.raises(ZeroDivisionError, match="a bug of ours") as caught:
        engine.run(HasABug(tmp_path / "notes"), inputs, tables=tables, progress=SilentProgress(), total=15)
    told = str(caught.value.__cause__) + "".join(str(entry.path) for entry in caught.traceback)
    assert "odd_rows.py" in told


def test_what_nobody_waits_for_any_more_is_not_given_away(tmp_path: Path, engine: Engine) -> None:
    tables = StageTables(tmp_path / "out", "ingest")
    stage, inputs = StopsWaiting(tmp_path / "notes"), write_inputs(tmp_path / "in", 3)
    assert engine.run(stage, inputs, tables=tables, progress=SilentProgress(), total=3).read == 3
