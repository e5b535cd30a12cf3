"""Asking again: what came back is put in its place, and nothing else changes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.engine import LocalEngine
from nameplate.progress import SilentProgress
from nameplate.stages.fetch import AskedAgain, ask_again, merge_back
from nameplate.store.tables import StageTables

from .fetch_shop import Shop, Workplace, run_shards, table_of


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


class Fetched:
    """A finished fetch of two shards, whose server was down for some links."""

    def __init__(self, shop: Shop, root: Path) -> None:
        self.shop = shop
        self.place = Workplace(root)
        kinds = ["good/1?row={}", "status/404?row={}", "flaky/1{:02}", "same/1?row={}", "status/500?row={}"]
        urls = [f"{shop.url}/{kinds[row % 5].format(row)}" for row in range(60)]
        codes = [f"TILE{row}" if row % 5 == 3 else "ONE-1" for row in range(60)]
        rows = table_of(urls, codes)
        self.shards = [rows.slice(0, 35), rows.slice(35)]
        self.inputs = StageTables(root / "ingest", "ingest")
        none = rows.slice(0, 0)
        for name in ("reason", "detail"):
            none = none.append_column(name, pa.array([], pa.string()))
        for index, shard in enumerate(self.shards):
            self.inputs.write(index, shard, none)
        self.tables = StageTables(root / "fetch", "fetch")
        self.aside = StageTables(root / "fetch" / "again", "fetch")
        self.outcome = run_shards(self.place.stage(max_attempts=2), self.tables, self.shards)

    def ask(self) -> AskedAgain:
        stage = self.place.stage(max_attempts=1)
        return ask_again(stage, self.tables, engine=LocalEngine(), progress=SilentProgress(), aside=self.aside)

    def merge(self) -> None:
        merge_back(self.tables, aside=self.aside, inputs=self.inputs)

    def rerun(self, root: Path) -> StageTables:
        """The tables of a fetch that knows what is known now."""
        fresh = StageTables(root / "fresh", "fetch")
        run_shards(self.place.stage(max_attempts=1), fresh, self.shards)
        return fresh


@pytest.fixture
def fetched(shop: Shop, tmp_path: Path) -> Fetched:
    return Fetched(shop, tmp_path)


def test_only_what_may_have_changed_is_asked_and_what_came_back_is_counted(fetched: Fetched) -> None:
    assert fetched.outcome.rejected == {"http_404": 12, "http_5xx": 24, "placeholder": 12}
    before = fetched.shop.asked.copy()
    assert fetched.ask() == AskedAgain(failed_rows=36, links=24, came_back=12)
    again = fetched.shop.asked - before
    assert {place.split("/")[0]: count for place, count in again.items()} == {"flaky": 1, "status": 12}
    assert not any("404" in place for place in again)


def test_the_tables_become_those_of_a_fetch_that_knows_it_all(fetched: Fetched, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in fetched.tables.kept_paths()}
    fetched.ask()
    assert {path: path.read_bytes() for path in fetched.tables.kept_paths()} == before, "asking changes no table"
    fetched.merge()
    outcome = run_shards(fetched.place.stage(max_attempts=1), fetched.tables, fetched.shards)
    assert (outcome.read, outcome.kept) == (60, 24)
    assert outcome.rejected == {"http_404": 12, "http_5xx": 12, "placeholder": 12}
    fresh = fetched.rerun(tmp_path)
    for path in fetched.tables.kept_paths():
        other = fresh.folder / path.name
        assert pq.read_table(path).drop_columns("fetch_attempts") == pq.read_table(other).drop_columns("fetch_attempts")
        mine, theirs = (
            pq.read_table(table.folder / "rejected" / path.name).to_pylist() for table in (fetched.tables, fresh)
        )
        key = lambda row: row["row_id"]  # noqa: E731
        without = [{**row, "fetch_attempts": 0} for row in sorted(mine, key=key)]
        assert without == [{**row, "fetch_attempts": 0} for row in sorted(theirs, key=key)]
    assert not fetched.aside.folder.exists()


def test_requests_of_both_times_are_counted(fetched: Fetched) -> None:
    first = fetched.outcome.details["requests"]
    before = fetched.shop.asked.total()
    fetched.ask()
    fetched.merge()
    outcome = run_shards(fetched.place.stage(max_attempts=1), fetched.tables, fetched.shards)
    asked = fetched.shop.asked.total() - before
    # robots.txt was asked the first time, and is believed for a day.
    assert outcome.details["requests"] == first + asked


def test_when_nothing_came_back_nothing_is_lost(fetched: Fetched) -> None:
    fetched.shop.down = True
    assert fetched.ask().came_back == 0
    fetched.merge()
    outcome = run_shards(fetched.place.stage(max_attempts=1), fetched.tables, fetched.shards)
    assert (outcome.kept, outcome.rejected) == (fetched.outcome.kept, fetched.outcome.rejected)


def test_a_kill_while_shards_are_rewritten_costs_no_row(fetched: Fetched, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched.ask()
    written = Counter[int]()
    write = StageTables.write

    def killed(self: StageTables, index: int, *tables: pa.Table) -> None:
        written[index] += 1
        if index == 1:
            raise KeyboardInterrupt
        write(self, index, *tables)

    monkeypatch.setattr(StageTables, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        fetched.merge()
    monkeypatch.undo()
    outcome = run_shards(fetched.place.stage(max_attempts=1), fetched.tables, fetched.shards)
    assert (outcome.read, outcome.kept) == (60, 24)


def test_a_row_that_came_back_with_a_known_placeholder_is_one_too(shop: Shop, tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    rows = table_of([f"{shop.url}/same/{row}" for row in range(6)], [f"P{row}" for row in range(6)])
    tables = StageTables(tmp_path / "fetch", "fetch")
    # The last row's image is missing at first, and five products are enough for a placeholder without it.
    run_shards(place.stage(), tables, [rows.slice(0, 5)])
    assert tables.reasons() == {"placeholder": 5}
    outcome = run_shards(place.stage(), tables, [rows.slice(0, 5), rows.slice(5)])
    assert outcome.rejected == {"placeholder": 6}
