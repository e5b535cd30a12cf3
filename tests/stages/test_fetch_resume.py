"""What the fetch stage remembers between runs, and what only the whole table shows."""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.errors import RunDirectoryError
from nameplate.records import SCHEMAS, FetchStatus
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables

from .fetch_shop import SAME, SHORT_CLOCKS, Shop, Workplace, jpeg, outcomes_of, run_shards, table_of


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_a_second_run_asks_only_what_may_have_changed(shop: Shop, workplace: Workplace) -> None:
    final = [
        "good/1",
        "status/404",
        "status/410",
        "status/403",
        "body/html",
        "body/half",
        "body/blank",
        "noai",
        "loop/a",
    ]
    passing = ["status/503", "status/429", "status/408", "slow"]
    urls = [f"{shop.url}/{path}" for path in final + passing]
    first = workplace.outcomes(urls, max_attempts=1, **SHORT_CLOCKS)
    asked = shop.asked.copy()
    stage = workplace.stage(max_attempts=1, **SHORT_CLOCKS)
    second = outcomes_of(stage, urls)
    assert shop.asked - asked == Counter(passing)
    assert first == second
    assert outcomes_of(stage, urls) == second, "within one run nothing is asked twice"
    assert shop.asked.total() == asked.total() + len(passing)


def test_a_failure_by_a_limit_is_asked_again_when_the_limit_is_raised(shop: Shop, workplace: Workplace) -> None:
    urls = [f"{shop.url}/body/tiny"]
    for fields, status, requests in (
        ({"image": {"min_side": 49}}, FetchStatus.TOO_SMALL, 1),
        ({"image": {"min_side": 49}}, FetchStatus.TOO_SMALL, 1),
        ({"image": {"min_side": 48}}, FetchStatus.OK, 2),
        ({"image": {"min_side": 50}}, FetchStatus.TOO_SMALL, 2),
        ({"max_bytes": 100}, FetchStatus.TOO_MANY_BYTES, 2),
        ({"image": {"max_pixels": 100}}, FetchStatus.TOO_MANY_PIXELS, 2),
        ({}, FetchStatus.OK, 2),
    ):
        (row,) = workplace.outcomes(urls, **fields)
        assert (row["image_status"], shop.asked.total()) == (status, requests), fields


def test_an_image_that_is_gone_from_the_store_is_fetched_again(shop: Shop, workplace: Workplace) -> None:
    (row,) = workplace.outcomes([f"{shop.url}/good/1"])
    path = workplace.images.path(row["image_sha256"], row["image_ext"])
    path.unlink()
    workplace.outcomes([f"{shop.url}/good/1"])
    assert path.exists()
    assert shop.asked["good/1"] == 2


def test_an_interrupted_run_keeps_what_had_ended_and_goes_on_to_the_same_tables(shop: Shop, tmp_path: Path) -> None:
    urls = [f"{shop.url}/{kind}/{place}" for place in range(15) for kind in ("good", "status/404")]
    shards = [table_of(urls[:10]), table_of(urls)]
    calm, cut = Workplace(tmp_path / "calm"), Workplace(tmp_path / "cut")
    calm_tables, cut_tables = (StageTables(place.root / "fetch", "fetch") for place in (calm, cut))
    whole = run_shards(calm.stage(max_attempts=1), calm_tables, shards)
    asked = shop.asked.copy()

    ended = 0

    def interrupt(steps: int) -> None:
        nonlocal ended
        ended += steps
        if ended >= 12:
            os.kill(os.getpid(), signal.SIGINT)

    stage = cut.stage(per_host=1, max_attempts=1)
    with pytest.raises(KeyboardInterrupt):
        stage.run_shard(shards[1], interrupt)
    stage.close()
    with Journal(cut.journal) as journal:
        written = [key for key, _ in journal.items() if key.startswith("http")]
    assert 12 <= len(written) < len(urls)
    before = shop.asked.copy()
    resumed = run_shards(cut.stage(max_attempts=1), cut_tables, shards)

    again = shop.asked - before
    assert not {url for url in written if again[url.removeprefix(shop.url + "/")]}
    assert again.total() == resumed.details["requests"] == asked.total() - len(written)
    assert (resumed.read, resumed.kept, resumed.rejected) == (whole.read, whole.kept, whole.rejected)
    for path in calm_tables.kept_paths():
        other = pq.read_table(cut_tables.folder / path.name)
        assert pq.read_table(path).equals(other)


def test_one_image_under_many_products_is_a_placeholder(shop: Shop, workplace: Workplace) -> None:
    def rows(kind: str, codes: Sequence[str | None]) -> tuple[list[str], list[str | None]]:
        return [f"{shop.url}/{kind}?row={place}" for place in range(len(codes))], list(codes)

    shared = rows("same/1", ["AA", "BB-1", "CC", None, None])
    variants = rows("good/9", [f"DRESS-{colour}" for colour in range(6)] + ["DRESS_RED", "SHIRT", "SHOE-1", "HAT"])
    urls, codes = shared[0] + variants[0], shared[1] + variants[1]
    tables = StageTables(workplace.root / "fetch", "fetch")
    stage = workplace.stage(placeholder_min_products=5)
    outcome = run_shards(stage, tables, [table_of(urls[:3], codes[:3]), _offset(table_of(urls[3:], codes[3:]), 3)])
    assert outcome.rejected == {"placeholder": 5}
    rejected = tables.read_rejected()
    assert set(rejected["row_id"].to_pylist()) == {f"{place:05d}" for place in range(5)}
    assert set(rejected["detail"].to_pylist()) == {"one image for 5 products"}
    assert outcome.read == outcome.kept + 5 == len(urls)


def _offset(table: pa.Table, by: int) -> pa.Table:
    ids = pa.array([f"{place + by:05d}" for place in range(table.num_rows)])
    return table.set_column(0, SCHEMAS["ingest"].field("row_id"), ids)


def test_the_details_count_requests_bytes_and_hosts(shop: Shop, workplace: Workplace) -> None:
    urls = [
        f"{shop.url}/same/1",
        f"{shop.url}/same/2",
        f"{shop.url}/flaky/1",
        f"{shop.url}/status/404",
    ]
    table = table_of([*urls, "http://10.0.0.1/a.jpg", None])
    details = run_shards(workplace.stage(), StageTables(workplace.root / "a", "fetch"), [table]).details
    # Four links, two of them retries of the flaky one, and robots.txt.
    assert (details["requests"], details["bytes"]) == (7, len(jpeg(SAME)) + len(jpeg(1)))
    assert {host["host"]: (host["rows"], host["live"]) for host in details["hosts"]} == {
        "127.0.0.1": (4, 3),
        "10.0.0.1": (1, 0),
    }
    again = run_shards(workplace.stage(), StageTables(workplace.root / "b", "fetch"), [table]).details
    assert (again["requests"], again["known"]) == (0, 5)


def test_a_full_disk_stops_the_stage_with_its_own_error(
    shop: Shop, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes, *, durable: bool) -> None:
        raise RunDirectoryError(str(path), found="no space left on the disk")

    monkeypatch.setattr("nameplate.store.images.write_bytes", full)
    with pytest.raises(RunDirectoryError, match="no space left"):
        workplace.outcomes([f"{shop.url}/good/{place}" for place in range(5)])
