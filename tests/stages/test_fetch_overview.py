"""What the manifest says of a fetch: counted from the tables and the figures, bounded, and right."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nameplate.records import SCHEMAS, FetchStatus, rejected_schema
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.network.guard import parse_link
from nameplate.stages.fetch.overview import SHOWN, find_placeholders, shared_images, summarise
from nameplate.stages.fetch.result import LinkFailed, LinkResult
from nameplate.store.tables import StageTables
from nameplate.summary import FetchSummary

Row = dict[str, Any]


def write(tables: StageTables, index: int, kept: list[Row], rejected: list[Row], figures: Row | None = None) -> None:
    tables.write(
        index,
        pa.Table.from_pylist(kept, schema=SCHEMAS["fetch"]),
        pa.Table.from_pylist(rejected, schema=rejected_schema("fetch")),
        figures,
    )


def kept(row: int, url: str, *, name: str = "Nike", image: int | None = None, **columns: Any) -> Row:
    sizes = {"image_bytes": 1_000, "image_width": 600, "image_height": 800}
    sha256 = f"{row if image is None else image:064x}"
    return {"row_id": f"{row:03d}", "name": name, "image_url": url, "image_sha256": sha256, **sizes, **columns}


def lost(row: int, url: str | None, reason: str, *, name: str = "Nike") -> Row:
    return {"row_id": f"{row:03d}", "name": name, "image_url": url, "reason": reason, "detail": ""}


@pytest.fixture
def tables(tmp_path: Path) -> StageTables:
    return StageTables(tmp_path / "it's here" / "fetch", "fetch")


def test_hosts_and_names_are_counted_over_all_shards(tables: StageTables) -> None:
    a, b = "http://A.example/{}.jpg", "https://b.example:8443/{}.jpg"
    write(tables, 0, [kept(row, a.format(row)) for row in range(12)], [lost(90, a.format(90), "http_404")])
    fila = [lost(row, b.format(row), "http_403", name="Fila") for row in range(20, 30)]
    write(
        tables,
        1,
        [kept(30, b.format(30), name="Puma")],
        [*fila, lost(31, b.format(31), "timeout"), lost(32, None, "missing_url")],
    )
    found = summarise(tables)
    assert [(host.host, host.rows, host.live, host.statuses) for host in found.hosts] == [
        ("b.example", 12, 1, {"http_403": 10, "ok": 1, "timeout": 1}),
        ("a.example", 13, 12, {"ok": 12, "http_404": 1}),
    ]
    assert [host.host for host in found.refusing] == ["b.example"]
    assert [(name.name, name.rows, name.live) for name in found.names] == [("Fila", 10, 0), ("Nike", 15, 12)]
    assert (found.num_hosts, found.num_names, found.num_lost_names) == (2, 3, 1)


def test_images_are_counted_once_and_changes_by_row(tables: StageTables) -> None:
    rows = [kept(row, "http://a.example/", image=row // 2, image_changes=["upright", "reencoded"]) for row in range(6)]
    rows.append(kept(7, "http://a.example/", image_bytes=500, image_width=100, image_height=50, image_changes=[]))
    write(tables, 0, rows, [])
    found = summarise(tables)
    assert (found.images, found.bytes, found.median_width, found.median_height) == (4, 3_500, 600, 800)
    assert found.changes == {"reencoded": 6, "upright": 6}


def test_figures_of_all_shards_are_added_up(tables: StageTables) -> None:
    for shard in range(2):
        figures = LinkFigures()
        for ms in range(100, 200):
            figures.count_request()
            figures.add("a.example", LinkResult(FetchStatus.OK, attempts=2, ms=ms), known=ms % 4 == 0)
        write(tables, shard, [kept(shard, "http://a.example/1")], [], figures.as_json())
    found = summarise(tables)
    assert (found.requests, found.links, found.known, found.retries) == (200, 200, 50, 150)
    (host,) = found.hosts
    assert host.p50_ms == pytest.approx(150, rel=0.1) and host.p95_ms == pytest.approx(195, rel=0.1)


def test_an_empty_stage_has_an_empty_overview(tables: StageTables) -> None:
    assert summarise(tables).images == 0
    write(tables, 0, [], [])
    assert summarise(tables) == summarise(StageTables(tables.folder.parent / "none", "fetch"))


def test_the_overview_of_very_many_hosts_and_names_stays_small(tables: StageTables) -> None:
    for shard in range(3):
        rows = [
            kept(row, f"http://h{row}.example/", name=f"N{row}") for row in range(shard * 2_000, shard * 2_000 + 2_000)
        ]
        write(tables, shard, rows, [])
    found = summarise(tables)
    assert (found.num_hosts, found.num_names, len(found.hosts), len(found.names)) == (6_000, 6_000, SHOWN, SHOWN)
    assert len(json.dumps(found.model_dump())) < 10_000
    assert FetchSummary.model_validate(json.loads(json.dumps(found.model_dump()))) == found


LINKS = [
    "http://a.example/1.jpg", "HTTPS://A.Example:8443/1.jpg", "http://a.example", "http://a.example?x=1",
    "http://a.example#x", "  http://a.example/ ", "http://[2001:db8::1]:80/x", "http://[::1]/", "http://127.0.0.1:9/",
    "http://a.example\\b/", "http://xn--bcher-kva.example/", "http://b\u00fccher.example/", "nothing", "", "http://",
    "http:///x", "ftp://a.example/x", "file:///etc/passwd", "data:image/png;base64,xx", "images/1.jpg", "//a.example/1",
]  # fmt: skip


@pytest.mark.parametrize("url", LINKS)
def test_the_overview_reads_a_host_as_the_fetcher_does(tables: StageTables, url: str) -> None:
    write(tables, 0, [kept(1, url)], [])
    counted = Counter(host.host for host in summarise(tables).hosts)
    try:
        assert counted == Counter([parse_link(url).host])
    except LinkFailed:
        assert counted == Counter()


def test_a_second_look_that_was_killed_half_way_finds_the_same(tables: StageTables) -> None:
    shared = [kept(row, f"http://a.example/{row}", image=7, product_code=f"P{row}") for row in range(6)]
    write(tables, 0, [], [{**row, "reason": "placeholder", "detail": ""} for row in shared[:4]])
    write(tables, 1, [*shared[4:], kept(8, "http://a.example/8")], [])
    moves = find_placeholders(tables, min_products=5)
    assert {"004", "005"} <= set(moves) and "008" not in moves


def test_a_sample_is_judged_by_the_tables_own_rule(tables: StageTables) -> None:
    codes = ["DRESS-RED", "DRESS_BLUE", "COAT", None, None, "HAT-1", "HAT-2", "SHOE"]
    rows = [kept(row, "http://a.example/", image=7, product_code=code) for row, code in enumerate(codes)]
    write(tables, 0, rows, [])
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["fetch"])
    for min_products in range(2, 9):
        by_table = find_placeholders(tables, min_products=min_products)
        assert {row for row, _, _ in shared_images(table, min_products=min_products)} == set(by_table)
