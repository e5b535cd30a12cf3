"""The fetch stage against a server that misbehaves: how each link ends, and what is never asked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.network.asker import open_session
from nameplate.stages.fetch.network.guard import AddressGuard

from .fetch_shop import SHORT_CLOCKS, Shop, Workplace, jpeg, number_in, outcomes_of


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_every_ending_has_its_own_status(shop: Shop, workplace: Workplace) -> None:
    expected = {
        "/good/1": (FetchStatus.OK, 200, 1),
        "/status/404": (FetchStatus.HTTP_404, 404, 1),
        "/status/410": (FetchStatus.HTTP_410, 410, 1),
        "/status/403": (FetchStatus.HTTP_403, 403, 1),
        "/status/401": (FetchStatus.HTTP_4XX, 401, 1),
        "/status/408": (FetchStatus.HTTP_4XX, 408, 3),
        "/status/503": (FetchStatus.HTTP_5XX, 503, 3),
        "/status/204": (FetchStatus.NOT_AN_IMAGE, 204, 1),
        "/status/304": (FetchStatus.NOT_AN_IMAGE, 304, 1),
        "/flaky/1": (FetchStatus.OK, 200, 3),
        "/busy/0/3": (FetchStatus.OK, 200, 2),
        "/body/html": (FetchStatus.NOT_AN_IMAGE, 200, 1),
        "/body/svg": (FetchStatus.NOT_AN_IMAGE, 200, 1),
        "/body/json": (FetchStatus.NOT_AN_IMAGE, 200, 1),
        "/body/empty": (FetchStatus.NOT_AN_IMAGE, 200, 1),
        "/body/half": (FetchStatus.TRUNCATED, 200, 1),
        "/body/bomb": (FetchStatus.TOO_MANY_PIXELS, 200, 1),
        "/body/blank": (FetchStatus.BLANK, 200, 1),
        "/lying": (FetchStatus.TRUNCATED, 200, 3),
        "/long": (FetchStatus.TOO_MANY_BYTES, 200, 1),
        "/endless": (FetchStatus.TOO_MANY_BYTES, 200, 1),
        "/loop/a": (FetchStatus.REDIRECT_LOOP, None, 1),
        "/chain/4": (FetchStatus.OK, 200, 1),
        "/chain/5": (FetchStatus.REDIRECT_LOOP, None, 1),
        "/noai": (FetchStatus.OPTED_OUT, 200, 1),
    }
    rows = workplace.outcomes([shop.url + path for path in expected], max_bytes=50_000)
    found = [(row["image_status"], row["http_status"], row["fetch_attempts"]) for row in rows]
    assert dict(zip(expected, found, strict=True)) == expected
    details = dict(zip(expected, [row.get("detail") for row in rows], strict=True))
    declared = len(jpeg()) + 100_000
    assert details["/long"].startswith(f"{declared} bytes"), "Content-Length was not looked at before the body"
    assert shop.agents == {FetchSection().user_agent}


def test_a_kept_image_is_the_original_file_and_its_columns_say_so(shop: Shop, workplace: Workplace) -> None:
    (row,) = workplace.outcomes([f"{shop.url}/good/5"])
    data = workplace.images.read(row["image_sha256"], row["image_ext"])
    assert data == jpeg(5)
    found = (row["image_ext"], row["image_width"], row["image_height"], row["image_bytes"])
    assert found == ("jpg", 64, 48, len(data))


@pytest.mark.parametrize(("path", "clock"), [("slow", "nothing came for 3 s"), ("drip", "not finished within 5 s")])
def test_each_clock_ends_a_link_that_hangs(shop: Shop, workplace: Workplace, path: str, clock: str) -> None:
    (row,) = workplace.outcomes([f"{shop.url}/{path}"], max_attempts=2, **SHORT_CLOCKS)
    assert (row["reason"], row["detail"], row["fetch_attempts"]) == (FetchStatus.TIMEOUT, clock, 2)
    assert 1 <= shop.asked[path] <= 2, "what timed out may not have been read by then"


def test_a_server_that_is_not_there_is_a_connect_error(workplace: Workplace) -> None:
    (row,) = workplace.outcomes(["http://127.0.0.1:1/a.jpg"])
    assert (row["reason"], row["fetch_attempts"]) == (FetchStatus.CONNECT_ERROR, 3)


def test_plain_http_behind_https_is_a_tls_error_and_not_asked_twice(shop: Shop, workplace: Workplace) -> None:
    (row,) = workplace.outcomes([shop.url.replace("http:", "https:") + "/good/1"])
    assert (row["reason"], row["fetch_attempts"]) == (FetchStatus.TLS_ERROR, 1)


def test_a_name_that_does_not_exist_is_a_dns_error(workplace: Workplace) -> None:
    rows = workplace.outcomes(["http://no-such-host.invalid/a.jpg", f"http://{'a' * 70}.example/a.jpg"])
    assert [row["reason"] for row in rows] == [FetchStatus.DNS_ERROR, FetchStatus.BAD_URL]


def test_links_that_may_not_be_asked_are_not_asked(shop: Shop, workplace: Workplace) -> None:
    port = shop.url.rsplit(":", 1)[1]
    expected = {
        None: FetchStatus.MISSING_URL,
        "  ": FetchStatus.MISSING_URL,
        "file:///etc/hostname": FetchStatus.SCHEME_BLOCKED,
        f"http://user:secret@127.0.0.1:{port}/good/1": FetchStatus.BAD_URL,
        f"http://127.0.0.1:{port}/good/1": FetchStatus.ADDRESS_BLOCKED,
        f"http://localhost:{port}/good/1": FetchStatus.ADDRESS_BLOCKED,
        f"http://[::ffff:127.0.0.1]:{port}/good/1": FetchStatus.ADDRESS_BLOCKED,
        "http://10.0.0.1/a.jpg": FetchStatus.ADDRESS_BLOCKED,
        "http://169.254.169.254/latest/meta-data": FetchStatus.ADDRESS_BLOCKED,
        "http://8.8.8.8:22/a.jpg": FetchStatus.ADDRESS_BLOCKED,
    }
    stage = workplace.stage(allow_networks=())
    rows = outcomes_of(stage, list(expected))
    assert {row["image_url"]: row["reason"] for row in rows} == expected
    for legacy in ("2130706433", "0x7f000001", "127.1"):
        (row,) = outcomes_of(stage, [f"http://{legacy}:{port}/good/1"])
        assert row["reason"] in {FetchStatus.ADDRESS_BLOCKED, FetchStatus.BAD_URL}
    assert not shop.asked and not shop.robots_asked


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://10.0.0.1/", FetchStatus.ADDRESS_BLOCKED),
        ("//169.254.169.254/latest", FetchStatus.ADDRESS_BLOCKED),
        ("http://[::1]:80/", FetchStatus.ADDRESS_BLOCKED),
        ("file:///etc/hostname", FetchStatus.SCHEME_BLOCKED),
        ("http://user:secret@127.0.0.1/", FetchStatus.BAD_URL),
        ("http://[bad/", FetchStatus.BAD_URL),
    ],
)
def test_a_redirect_is_checked_like_a_first_link(
    shop: Shop, workplace: Workplace, target: str, status: FetchStatus
) -> None:
    (row,) = workplace.outcomes([f"{shop.url}/to?url={target}"])
    assert row["reason"] == status
    assert shop.asked == {"to": 1}


def test_rows_with_one_link_share_one_request(shop: Shop, workplace: Workplace) -> None:
    same = [f"{shop.url}/good/1", f" {shop.url}/good/1#front", f"{shop.url}/good/1".replace("http", "HTTP")]
    rows = workplace.outcomes([*same, f"{shop.url}/status/404", f"{shop.url}/status/404"])
    assert [row["image_status"] for row in rows] == ["ok"] * 3 + ["http_404"] * 2
    assert shop.asked == {"good/1": 1, "status/404": 1}


@pytest.mark.parametrize(("concurrency", "per_host", "most"), [(64, 3, 3), (2, 8, 2)])
def test_a_host_is_never_asked_more_at_once_than_allowed(
    shop: Shop, workplace: Workplace, concurrency: int, per_host: int, most: int
) -> None:
    urls = [f"{shop.url}/good/{place}" for place in range(30)]
    rows = workplace.outcomes(urls, concurrency=concurrency, per_host=per_host)
    assert {row["image_status"] for row in rows} == {"ok"}
    assert shop.most_under_way == most


def test_a_host_that_asks_for_rest_gets_it(shop: Shop, workplace: Workplace) -> None:
    long = workplace.outcomes(
        [f"{shop.url}/busy/3600/1"] + [f"{shop.url}/good/{place}" for place in range(3)], per_host=1
    )
    assert [row["reason"] for row in long] == [FetchStatus.HTTP_429] * 4
    assert shop.asked == {"busy/3600/1": 1}
    (row,) = workplace.outcomes([f"{shop.url}/busy/1/1"])
    assert (row["image_status"], row["fetch_attempts"]) == ("ok", 2)


def test_an_answer_that_nobody_asked_for_is_nobodys_image(shop: Shop) -> None:
    async def ask() -> list[int]:
        section = FetchSection(allow_networks=("127.0.0.0/8",))
        numbers = []
        async with open_session(section, AddressGuard(section.allow_networks)) as session:
            for number in (1, 2, 3):
                kind = "gossip" if number == 1 else "good"
                async with session.get(f"{shop.url}/{kind}/{number}", trace_request_ctx=LinkFigures()) as response:
                    numbers.append(number_in(await response.read()))
                await asyncio.sleep(0.2)
        return numbers

    assert asyncio.run(ask()) == [1, 2, 3]
