"""The link check against a real server: it is true, it ends in time, and what it asked is not asked again."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
import pytest

from nameplate.recipe import FetchSection
from nameplate.records import SCHEMAS
from nameplate.stages.fetch import FetchStage, LinkCheck, check_links, impatient
from nameplate.stages.fetch.sample import draw, links_by_host
from nameplate.statistics import wilson
from nameplate.store.tables import StageTables

from .fetch_shop import SHORT_CLOCKS, Shop, Workplace, jpeg, run_shards, table_of


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def ingested(workplace: Workplace, rows: pa.Table, *, per_shard: int = 70) -> StageTables:
    tables = StageTables(workplace.root / "ingest", "ingest")
    nothing = (
        rows.slice(0, 0)
        .append_column("reason", pa.array([], pa.string()))
        .append_column("detail", pa.array([], pa.string()))
    )
    for index, start in enumerate(range(0, rows.num_rows, per_shard)):
        tables.write(index, rows.slice(start, per_shard), nothing)
    return tables


def checked(
    workplace: Workplace, tables: StageTables, num_rows: int, *, seconds: float = 20.0, **fields: Any
) -> LinkCheck:
    section = FetchSection(**{"allow_networks": ("127.0.0.0/8",), **fields})
    stage = FetchStage(impatient(section), images=workplace.images, journal=workplace.journal)
    return check_links(stage, tables, section=section, num_rows=num_rows, seconds=seconds)


def pages(asked: Counter[str]) -> Counter[str]:
    """What was asked of images."""
    return Counter({place: count for place, count in asked.items() if place != "robots.txt"})


def mixed(shop: Shop, kinds: Sequence[str], num: int) -> list[str | None]:
    return [f"{shop.url}/{kinds[place % len(kinds)]}?row={place}" for place in range(num)]


@pytest.mark.parametrize(
    ("kinds", "verdict", "count"),
    [(["good/1"], "good", 60), (["status/404"], "unusable", 0), (["good/1", "status/410"], "usable", None)],
)
def test_the_verdict_is_the_servers_truth(
    shop: Shop, workplace: Workplace, kinds: list[str], verdict: str, count: int | None
) -> None:
    urls = mixed(shop, kinds, 200)
    # One image under many codes would be a placeholder, and is not what this is about.
    tables = ingested(workplace, table_of(urls, ["ONE-" + str(place) for place in range(200)]))
    found = checked(workplace, tables, 60)
    sampled = [urls[int(row)] for row in draw(tables, num_rows=60)["row_id"].to_pylist()]
    truth = sum("good" in str(url) for url in sampled)
    assert count in (None, truth)
    assert (str(found.verdict), found.live.count, found.live.n, found.unanswered) == (verdict, truth, 60, 0)
    assert (found.live.low, found.live.high) == (wilson(truth, 60).low, wilson(truth, 60).high)
    assert pages(shop.asked).total() == 60


def test_a_silent_host_does_not_hold_the_check_up(shop: Shop, workplace: Workplace) -> None:
    urls = mixed(shop, ["slow"], 300) + mixed(shop, ["good/3"], 3)
    started = monotonic()
    found = checked(workplace, ingested(workplace, table_of(urls)), 303, seconds=3.0)
    assert monotonic() - started < 20, "far more than the deadline, far less than 300 slow links take"
    assert found.rows == 303
    assert found.live.count + sum(found.reasons.values()) + found.unanswered == 303
    assert found.unanswered + found.reasons.get("timeout", 0) >= 300


def test_links_that_came_too_late_are_the_first_that_matter_next_time(shop: Shop, workplace: Workplace) -> None:
    urls = mixed(shop, ["good/1"], 40)
    tables = ingested(workplace, table_of(urls, ["ONE-1"] * 40))
    nothing = checked(workplace, tables, 40, seconds=0.0)
    assert (str(nothing.verdict), nothing.unanswered, nothing.live.n) == ("unclear", 40, 0)
    assert (nothing.live.low, nothing.live.high) == (0.0, 1.0)
    assert str(checked(workplace, tables, 40).verdict) == "good"


def test_two_hosts_are_told_apart(workplace: Workplace) -> None:
    with Shop() as one, Shop("127.0.0.2") as two:
        urls = mixed(one, ["good/1"], 100) + mixed(two, ["status/404", "status/404", "good/2"], 150)
        tables = ingested(workplace, table_of(urls, ["ONE-1"] * 250))
        assert links_by_host(tables) == {"127.0.0.1": 100, "127.0.0.2": 150}
        found = checked(workplace, tables, 250)
    assert [(host.key, host.live, host.rows) for host in found.hosts] == [
        ("127.0.0.2", 50, 150),
        ("127.0.0.1", 100, 100),
    ]
    assert found.estimate is not None and found.estimate.links == 250
    assert (found.live.low, found.live.high) == (0.6, 0.6), "the whole table was checked"


def test_the_sample_is_the_same_every_time_and_grows_by_addition(workplace: Workplace) -> None:
    tables = ingested(workplace, table_of(["http://a.example/1"] * 3_000))
    ids = [draw(tables, num_rows=num, seed=seed)["row_id"].to_pylist() for num, seed in ((50, 0), (50, 0), (80, 0))]
    assert ids[0] == ids[1] == ids[2][:50]
    assert set(draw(tables, num_rows=50, seed=1)["row_id"].to_pylist()) != set(ids[0])
    assert draw(tables, num_rows=50).schema == SCHEMAS["ingest"]
    thirds = Counter(int(row) // 1_000 for row in draw(tables, num_rows=1_500)["row_id"].to_pylist())
    assert all(430 < count < 570 for count in thirds.values()), "drawn from all over the table"


def test_a_full_fetch_asks_nothing_that_the_check_has_settled(shop: Shop, workplace: Workplace) -> None:
    final, passing = mixed(shop, ["good/1", "status/404", "body/html"], 90), mixed(shop, ["status/503"], 6)
    rows = table_of(final + passing, ["ONE-1"] * 96)
    found = checked(workplace, ingested(workplace, rows), 96, max_attempts=1)
    assert found.reasons == {"http_404": 30, "not_an_image": 30, "http_5xx": 6}
    before = pages(shop.asked)
    run_shards(workplace.stage(max_attempts=1), StageTables(workplace.root / "fetch", "fetch"), [rows])
    assert pages(shop.asked) - before == Counter({"status/503": 6})


def test_a_placeholder_is_seen_in_the_sample_already(shop: Shop, workplace: Workplace) -> None:
    urls = (
        mixed(shop, ["same/1"], 12)
        + [f"{shop.url}/good/{place}" for place in range(20, 220, 10)]
        + mixed(shop, ["good/250"], 3)
    )
    codes = [f"TILE{place}" for place in range(12)] + [f"P{place}" for place in range(20)] + ["A", "B", "C"]
    found = checked(workplace, ingested(workplace, table_of(urls, codes)), 100, placeholder_min_products=5)
    assert found.reasons == {"placeholder": 12} and found.live.count == 23
    assert [(image.num_products, image.rows) for image in found.shared] == [(12, 12), (3, 3)]
    assert re.fullmatch(rf"{shop.url}/same/1\?row=\d+", found.shared[0].url)


def test_images_that_came_with_the_table_cost_no_request(shop: Shop, workplace: Workplace) -> None:
    blobs = [workplace.images.put(jpeg(place), "raw") for place in range(30)] + [workplace.images.put(b"no", "raw")]
    rows = table_of([f"images/{place}.jpg" for place in range(31)])
    rows = rows.set_column(rows.schema.get_field_index("image_blob"), "image_blob", pa.array(blobs, pa.string()))
    found = checked(workplace, ingested(workplace, rows), 500)
    assert (found.live.count, found.reasons, found.hosts) == (30, {"not_an_image": 1}, [])
    assert found.sentence == "good: 30 of 31 images are live; 30 of 31 rows remain"
    assert found.estimate is None and shop.asked.total() == 0


def test_a_check_has_less_patience_than_a_fetch() -> None:
    section = FetchSection(per_host=2)
    shorter = impatient(section)
    assert shorter.clocks.total_seconds < section.clocks.total_seconds
    assert shorter.max_attempts < section.max_attempts
    assert shorter.per_host == 2, "a check is as polite as a fetch"
    assert impatient(FetchSection(**SHORT_CLOCKS)).clocks.read_seconds == 3.0
