"""The embedded shop: its feed looks like the real ones, gives nothing away, and its links fail as told."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from nameplate.demo import shop as shop_module
from nameplate.demo.feed import COLUMNS, Fault, brand_sizes, feed_csv, make_listings
from nameplate.demo.render import load_logos
from nameplate.demo.servers import serving
from nameplate.demo.shop import Shop, build_shop, read_truth, shop_app
from nameplate.errors import RunDirectoryError

LISTINGS = make_listings(seed=0, num_listings=2400)
ROWS = list(csv.DictReader(io.StringIO(feed_csv(LISTINGS, address="http://shop"))))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return build_shop(tmp_path_factory.mktemp("shop"), seed=3, num_listings=150)


@pytest.fixture
def visitor(small: Shop) -> Iterator[TestClient]:
    with TestClient(shop_app(small.folder)) as client:
        yield client


def links(shop: Shop, fault: Fault) -> list[str]:
    listings = read_truth(shop.folder)["listings"]
    found = [f"/images/{key}.jpg" for key, facts in listings.items() if facts["fault"] == fault]
    assert found, f"no link with fault {fault}"
    return found


def test_brands_have_a_long_tail_of_12_to_180_listings() -> None:
    counts = Counter(listing.brand for listing in LISTINGS)
    assert len(counts) == 36 and counts.total() == 2400
    assert sorted(counts.values())[0] == 12 and sorted(counts.values())[-1] == 180
    assert sum(brand_sizes(36, 150)) == 150 and min(brand_sizes(36, 150)) >= 1


def test_feed_has_the_17_columns_in_order() -> None:
    assert tuple(ROWS[0]) == COLUMNS and len(COLUMNS) == 17 and len(ROWS) == 2400
    assert all(row["category3_code"] == "N.A." for row in ROWS)
    assert all(value != "" for row in ROWS for value in row.values())
    assert all(float(row["price"]) <= float(row["full_price"]) for row in ROWS)
    assert {row["flg_discount"] for row in ROWS} == {"0", "1"}


def test_brands_are_written_in_several_ways() -> None:
    display = {listing.brand for listing in LISTINGS}
    written = [row["brand"] for row in ROWS]
    upper = sum(brand.isupper() and brand not in display for brand in written)
    assert 0.10 < upper / len(written) < 0.20
    assert sum(brand.islower() for brand in written) > 20
    assert 0 < written.count("N.A.") < 30
    assert 0 < sum(row["imageurl"] == "N.A." for row in ROWS) < 30


def test_nothing_but_the_brand_column_and_the_code_gives_the_brand_away() -> None:
    names = {logo.title.casefold() for logo in load_logos()} | {logo.slug for logo in load_logos()}
    for row in ROWS:
        for column in ("title", "itemurl", "imageurl", "category1_code", "category2_code"):
            text = row[column].casefold()
            assert not any(name in text for name in names), (column, row[column])


def test_variants_of_a_product_share_the_first_eight_characters_of_their_code() -> None:
    products: dict[str, set[tuple[str, str]]] = {}
    colours: dict[str, list[str]] = {}
    for listing in LISTINGS:
        products.setdefault(listing.product_code[:8], set()).add((listing.brand, listing.scene.kind))
        colours.setdefault(listing.product_code[:8], []).append(listing.scene.colour)
    assert all(code.endswith("-") and len(facts) == 1 for code, facts in products.items())
    assert {len(found) for found in colours.values()} == {1, 2, 3, 4}
    assert all(len(set(found)) == len(found) for found in colours.values())
    assert len({listing.product_code for listing in LISTINGS}) == 2400


def test_about_eight_percent_of_links_are_faulty_in_every_way() -> None:
    faults = Counter(listing.fault for listing in LISTINGS)
    assert set(faults) == set(Fault)
    assert 0.07 < 1 - faults[Fault.NONE] / 2400 < 0.09


def test_same_seed_same_feed_other_seed_other_feed() -> None:
    assert make_listings(seed=0, num_listings=200) == make_listings(seed=0, num_listings=200)
    first, second = (make_listings(seed=seed, num_listings=200) for seed in (0, 1))
    assert {a.listing_id for a in first}.isdisjoint(b.listing_id for b in second)


def test_pictures_are_the_same_bytes_for_the_same_seed(small: Shop, tmp_path: Path) -> None:
    build_shop(tmp_path, seed=3, num_listings=150)
    assert read_truth(tmp_path) == read_truth(small.folder)


def test_existing_shop_is_reused_and_a_changed_one_is_made_anew(small: Shop) -> None:
    picture = next((small.folder / "images").iterdir())
    before = picture.stat().st_mtime_ns
    build_shop(small.folder, seed=3, num_listings=150)
    assert picture.stat().st_mtime_ns == before


def test_half_built_shop_is_built_again(tmp_path: Path) -> None:
    build_shop(tmp_path, seed=3, num_listings=40)
    (tmp_path / "shop.json").unlink()
    victim = sorted((tmp_path / "images").glob("*.jpg"))[0]
    whole = victim.read_bytes()
    victim.write_bytes(b"half")
    build_shop(tmp_path, seed=3, num_listings=40)
    assert victim.read_bytes() == whole


def test_good_links_serve_the_picture_that_the_truth_knows(small: Shop, visitor: TestClient) -> None:
    truth = read_truth(small.folder)["listings"]
    for path in links(small, Fault.NONE)[:5]:
        answer = visitor.get(path)
        assert answer.headers["content-type"] == "image/jpeg"
        facts = truth[path.removeprefix("/images/").removesuffix(".jpg")]
        if facts["sha256"] is not None:
            assert hashlib.sha256(answer.content).hexdigest() == facts["sha256"]


def test_dead_links_are_404(small: Shop, visitor: TestClient) -> None:
    assert visitor.get(links(small, Fault.NOT_FOUND)[0]).status_code == 404
    assert visitor.get("/images/nosuchthing.jpg").status_code == 404
    assert visitor.get("/images/..%2Ftruth.json.jpg").status_code == 404


def test_html_links_say_200(small: Shop, visitor: TestClient) -> None:
    answer = visitor.get(links(small, Fault.HTML)[0])
    assert answer.status_code == 200 and answer.text.startswith("<!doctype html>")


def test_truncated_links_open_but_do_not_decode(small: Shop, visitor: TestClient) -> None:
    data = visitor.get(links(small, Fault.TRUNCATED)[0]).content
    with Image.open(io.BytesIO(data)) as picture, pytest.raises(OSError, match="truncated"):
        picture.load()


def test_flaky_links_work_on_the_second_visit(small: Shop, visitor: TestClient) -> None:
    path = links(small, Fault.FLAKY)[0]
    assert [visitor.get(path).status_code for _ in range(3)] == [503, 200, 200]


def test_placeholder_is_one_picture_behind_many_links(small: Shop, visitor: TestClient) -> None:
    paths = links(small, Fault.PLACEHOLDER)
    bodies = {visitor.get(path).content for path in paths}
    assert len(paths) >= 5 and len(bodies) == 1
    assert hashlib.sha256(bodies.pop()).hexdigest() == read_truth(small.folder)["placeholder"]


def test_slow_links_are_slow_once_and_too_slow_ones_never_come(
    small: Shop, visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(seconds: float, request: Any) -> None:
        waits.append(seconds)

    monkeypatch.setattr(shop_module, "_wait", wait)
    slow, too_slow = links(small, Fault.SLOW)[0], links(small, Fault.TOO_SLOW)[0]
    assert [visitor.get(path).status_code for path in (slow, slow, too_slow, too_slow)] == [200, 200, 504, 504]
    assert waits == [1.5, 30.0, 30.0]


def test_stats_count_requests_by_path(small: Shop, visitor: TestClient) -> None:
    path = links(small, Fault.NONE)[0]
    visitor.get(path)
    visitor.get(path)
    assert visitor.get("/stats").json() == {path: 2}


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def is_open(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


def test_serving_gives_working_links_and_the_same_addresses_again(tmp_path: Path) -> None:
    shop = build_shop(tmp_path, num_listings=40)
    seen = []
    for _ in range(2):
        with serving(tmp_path) as addresses:
            seen.append((addresses, shop.feed.read_text(encoding="utf-8")))
            assert read(f"{addresses.teacher}/v1/models")["data"][0]["id"] == "practice-teacher"
            assert read(f"{addresses.shop}/stats") == {}
        assert not is_open(addresses.shop) and not is_open(addresses.teacher)
    assert seen[0] == seen[1]
    assert f"{seen[0][0].shop}/images/" in seen[0][1]


def test_taken_port_is_replaced_and_the_feed_follows(tmp_path: Path) -> None:
    shop = build_shop(tmp_path, num_listings=40)
    with serving(tmp_path) as first, serving(tmp_path) as second:
        assert first.shop != second.shop
        assert f"{second.shop}/images/" in shop.feed.read_text(encoding="utf-8")


def test_servers_end_when_the_block_fails(tmp_path: Path) -> None:
    build_shop(tmp_path, num_listings=40)
    with pytest.raises(ZeroDivisionError), serving(tmp_path) as addresses:
        raise ZeroDivisionError
    assert not is_open(addresses.shop)


def test_servers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    build_shop(tmp_path, num_listings=40)
    program = (
        "import sys, time; from pathlib import Path; from nameplate.demo.servers import serving\n"
        "with serving(Path(sys.argv[1])) as found: print(found.shop, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    address = parent.stdout.readline().strip()
    assert is_open(address)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(500):
        if not is_open(address):
            break
        # The child polls its sign to end ten times a second.
        subprocess.run(["sleep", "0.02"], check=True)
    assert not is_open(address)


def test_servers_that_cannot_start_say_why(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="did not start") as caught, serving(tmp_path):
        pass
    assert "no shop in" in str(caught.value)
