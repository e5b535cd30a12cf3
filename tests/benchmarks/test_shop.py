from __future__ import annotations

import http.client
import io
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from row_pictures import row_of
from shop_client import RunningShop, ceiling, running_shop
from shop_links import HOST, SAVEABLE, SLOW_DOWN_HOST, LinkKind, link_kinds, write_table

NUM_LINKS = 300
KINDS = link_kinds(NUM_LINKS)


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    with running_shop(num_links=NUM_LINKS, num_pictures=2) as shop:
        yield shop


@pytest.fixture(autouse=True)
def _counts_start_anew(shop: RunningShop) -> None:
    shop.reset()


def ask(shop: RunningShop, row: int) -> http.client.HTTPResponse:
    host = SLOW_DOWN_HOST if KINDS[row] is LinkKind.SLOW_DOWN else HOST
    connection = http.client.HTTPConnection(host, shop.port, timeout=5)
    connection.request("GET", f"/p/{row}.jpg")
    return connection.getresponse()


def shown(shop: RunningShop, row: int) -> int | None:
    """The row number in the pixels of what a link gives."""
    answer = ask(shop, row)
    assert answer.status == 200
    image = Image.open(io.BytesIO(answer.read()))
    image.load()
    return row_of(image)


def first(kind: LinkKind) -> int:
    return KINDS.index(kind)


def test_a_tenth_of_the_links_is_bad_and_each_kind_is_there() -> None:
    counts = Counter(link_kinds(5000))
    assert counts.pop(LinkKind.GOOD) == 4500
    assert set(counts.values()) == {50}
    assert set(counts) == set(LinkKind) - {LinkKind.GOOD}


def test_links_keep_their_kinds_and_the_second_host_lies_together(tmp_path: Path) -> None:
    assert link_kinds(1000) == link_kinds(1000)
    write_table(tmp_path / "table.csv", num_links=1000, port=1)
    on_second = [f"//{SLOW_DOWN_HOST}:" in line for line in (tmp_path / "table.csv").read_text().splitlines()[1:]]
    assert [row for row, second in enumerate(on_second) if second] == list(range(500, 510))


@pytest.mark.parametrize("row", [first(LinkKind.GOOD), NUM_LINKS - 1])
def test_a_good_link_gives_its_own_picture(shop: RunningShop, row: int) -> None:
    assert shown(shop, row) == row


@pytest.mark.parametrize(("kind", "status"), [(LinkKind.NOT_FOUND, 404), (LinkKind.GONE, 410)])
def test_dead_links_say_so(shop: RunningShop, kind: LinkKind, status: int) -> None:
    assert ask(shop, first(kind)).status == status


def test_a_page_and_half_a_file_come_as_images_of_their_whole_length(shop: RunningShop) -> None:
    page, half = ask(shop, first(LinkKind.PAGE)), ask(shop, first(LinkKind.CUT_FILE))
    assert (page.status, half.status, page.getheader("Content-Type")) == (200, 200, "image/jpeg")
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(page.read()))
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(half.read())).load()


def test_a_cut_body_is_shorter_than_promised(shop: RunningShop) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(shop, first(LinkKind.CUT_BODY)).read()


def test_an_opted_out_image_says_so(shop: RunningShop) -> None:
    assert ask(shop, first(LinkKind.OPTED_OUT)).getheader("X-Robots-Tag") == "noai"


def test_resets_always_or_once(shop: RunningShop) -> None:
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            ask(shop, first(LinkKind.RESET))
    row = first(LinkKind.UNSTEADY)
    with pytest.raises(ConnectionResetError):
        ask(shop, row)
    assert shown(shop, row) == row


def test_a_flaky_link_gives_its_picture_at_the_third_try(shop: RunningShop) -> None:
    row = first(LinkKind.FLAKY)
    assert [ask(shop, row).status for _ in range(2)] == [500, 500]
    assert shown(shop, row) == row


def test_the_second_host_asks_for_a_second_of_rest_once(shop: RunningShop) -> None:
    one, two = (row for row, kind in enumerate(KINDS[: first(LinkKind.SLOW_DOWN) + 2]) if kind is LinkKind.SLOW_DOWN)
    answers = [ask(shop, row) for row in (one, two, one)]
    assert [(each.status, each.getheader("Retry-After")) for each in answers] == [(429, "1")] * 3
    time.sleep(1.0)
    assert (shown(shop, one), shown(shop, two)) == (one, two)


def test_the_shop_counts_what_it_is_asked(shop: RunningShop) -> None:
    for row in (first(LinkKind.GOOD), first(LinkKind.GONE), first(LinkKind.GONE)):
        ask(shop, row).read()
    counts = shop.counts()
    assert (counts["requests"], counts["links_asked"], counts["connections"]) == (3, 2, 4)
    assert (counts["refused_links_asked_again"], counts["most_at_once"]) == (1, 1)
    assert counts["statuses"] == {"200": 1, "410": 2}


def test_requests_at_once_are_seen(shop: RunningShop) -> None:
    assert ceiling(shop, num_requests=40, connections=8).requests_per_second > 0
    assert shop.counts()["most_at_once"] == 8


def test_robots_txt_is_not_there(shop: RunningShop) -> None:
    connection = http.client.HTTPConnection(HOST, shop.port, timeout=5)
    connection.request("GET", "/robots.txt")
    assert connection.getresponse().status == 404


def test_every_kind_is_either_saveable_or_not() -> None:
    assert {LinkKind.GOOD, LinkKind.FLAKY, LinkKind.UNSTEADY, LinkKind.SLOW_DOWN} == SAVEABLE
