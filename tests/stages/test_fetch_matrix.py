"""Every fault at once: one table, three shards, five hosts, two runs, and the truth for each row."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nameplate.records import FetchStatus
from nameplate.store.tables import StageTables

from .fetch_shop import Shop, Workplace, jpeg, number_in, run_shards, table_of

MAX_ATTEMPTS = 3
CLOCKS = {"total_seconds": 4.0, "connect_seconds": 2.5, "read_seconds": 2.5}
PER_HOST = 4
MAX_BYTES = 50_000


@dataclass(frozen=True)
class Fault:
    """A kind of row, and the truth about it."""

    url: str | None
    """{shop} is a shop with few rules, {strict} one whose robots.txt forbids /good. {slow}, {busy} and {rude} have
    hosts of their own, so that their troubles are their own, too. {n} is the row's number."""
    status: FetchStatus
    asked: int
    """Requests of one row in the first run."""
    again: int = 0
    """Requests of one row in the second run."""
    rows: int = 3


OK, DOWN = FetchStatus.OK, MAX_ATTEMPTS
FAULTS = (
    Fault("{shop}/good/{n}", OK, 1, rows=150),
    Fault("{rude}/good/{n}", OK, 1, rows=40),
    Fault("{shop}/flaky/{n}", OK, 3),
    Fault("{shop}/busy/0/{n}", OK, 2),
    Fault("{shop}/dated/{n}", OK, 2),
    Fault("{shop}/gzip/picture/{n}", OK, 1),
    Fault("{shop}/to?url=/good/{n}", OK, 1),
    Fault(None, FetchStatus.MISSING_URL, 0),
    Fault("http://[bad/{n}", FetchStatus.BAD_URL, 0),
    Fault("http://user:secret@shop.test/{n}", FetchStatus.BAD_URL, 0),
    Fault("{shop}/to?url=http://user:secret@shop.test/{n}", FetchStatus.BAD_URL, 1),
    Fault("file:///etc/hostname?{n}", FetchStatus.SCHEME_BLOCKED, 0),
    Fault("{shop}/to?url=file:///etc/{n}", FetchStatus.SCHEME_BLOCKED, 1),
    Fault("http://10.0.0.1/{n}", FetchStatus.ADDRESS_BLOCKED, 0),
    Fault("http://private.test/{n}", FetchStatus.ADDRESS_BLOCKED, 0),
    Fault("http://mapped.test/{n}", FetchStatus.ADDRESS_BLOCKED, 0),
    Fault("{shop}/to?url=http://private.test/{n}", FetchStatus.ADDRESS_BLOCKED, 1),
    Fault("{shop}/to?url=http://169.254.169.254/{n}", FetchStatus.ADDRESS_BLOCKED, 1),
    Fault("http://nowhere{n}.test/", FetchStatus.DNS_ERROR, 0),
    Fault("http://127.0.0.1:1/{n}", FetchStatus.CONNECT_ERROR, 0, rows=1),
    # aiohttp itself asks a second time when a connection breaks before any answer.
    Fault("{rude}/reset/{n}", FetchStatus.CONNECT_ERROR, 2 * DOWN, 2 * DOWN, rows=2),
    Fault("{rude}/garbage/{n}", FetchStatus.CONNECT_ERROR, DOWN, DOWN, rows=2),
    # More than it said, in one piece: aiohttp's parser cannot tell it from garbage.
    Fault("{rude}/short/once/{n}", FetchStatus.CONNECT_ERROR, DOWN, DOWN, rows=2),
    Fault("{rude}/heads/{n}", FetchStatus.CONNECT_ERROR, DOWN, DOWN, rows=2),
    Fault("{tls}/good/{n}", FetchStatus.TLS_ERROR, 0, rows=1),
    Fault("{slow}/slow/{n}", FetchStatus.TIMEOUT, DOWN, DOWN, rows=1),
    Fault("{slow}/drip/{n}", FetchStatus.TIMEOUT, DOWN, DOWN, rows=1),
    Fault("{shop}/status/404/{n}", FetchStatus.HTTP_404, 1),
    Fault("{shop}/status/410/{n}", FetchStatus.HTTP_410, 1),
    Fault("{shop}/status/403/{n}", FetchStatus.HTTP_403, 1),
    Fault("{shop}/status/401/{n}", FetchStatus.HTTP_4XX, 1),
    Fault("{shop}/status/451/{n}", FetchStatus.HTTP_4XX, 1),
    Fault("{busy}/rest/3600/{n}", FetchStatus.HTTP_429, 1, 1, rows=1),
    Fault("{shop}/status/500/{n}", FetchStatus.HTTP_5XX, DOWN, DOWN),
    Fault("{shop}/loop/a?{n}", FetchStatus.REDIRECT_LOOP, 1),
    Fault("{shop}/chain/9?{n}", FetchStatus.REDIRECT_LOOP, 1),
    Fault("{shop}/noai/{n}", FetchStatus.OPTED_OUT, 1),
    Fault("{strict}/good/{n}", FetchStatus.ROBOTS_DISALLOWED, 0),
    Fault("{shop}/to?url={strict}/good/{n}", FetchStatus.ROBOTS_DISALLOWED, 1),
    Fault("{shop}/long/{n}", FetchStatus.TOO_MANY_BYTES, 1),
    Fault("{shop}/endless/{n}", FetchStatus.TOO_MANY_BYTES, 1),
    Fault("{shop}/gzip/bomb/{n}", FetchStatus.TOO_MANY_BYTES, 1, rows=1),
    Fault("{rude}/lying/{n}", FetchStatus.TRUNCATED, DOWN),
    Fault("{rude}/short/later/{n}", FetchStatus.TRUNCATED, 1),
    Fault("{shop}/body/half/{n}", FetchStatus.TRUNCATED, 1),
    Fault("{shop}/body/html/{n}", FetchStatus.NOT_AN_IMAGE, 1),
    Fault("{shop}/body/svg/{n}", FetchStatus.NOT_AN_IMAGE, 1),
    Fault("{shop}/body/json/{n}", FetchStatus.NOT_AN_IMAGE, 1),
    Fault("{shop}/body/empty/{n}", FetchStatus.NOT_AN_IMAGE, 1),
    Fault("{shop}/body/broken/{n}", FetchStatus.DECODE_ERROR, 1),
    Fault("{shop}/body/bomb/{n}", FetchStatus.TOO_MANY_PIXELS, 1),
    Fault("{shop}/body/thumb/{n}", FetchStatus.TOO_SMALL, 1),
    Fault("{shop}/body/flag/{n}", FetchStatus.BAD_ASPECT, 1),
    Fault("{shop}/body/blank/{n}", FetchStatus.BLANK, 1),
    Fault("{shop}/same/{n}", FetchStatus.PLACEHOLDER, 1, rows=5),
)

NAMES = {
    "private.test": "10.0.0.1",
    "mapped.test": "::ffff:192.168.0.7",
    "shop.test": "127.0.0.1",
}


@pytest.fixture
def shops() -> Iterator[dict[str, Shop]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(Shop()) for name in ("shop", "strict", "slow", "busy", "rude")}


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of this test; the system's resolver is asked for addresses only."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host.endswith(".test") and host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(NAMES.get(host, host), port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second run the rude host is asked for nothing but its faults, and would rest for a minute."""
    monkeypatch.setattr("nameplate.stages.fetch.stage.REST_SECONDS", (0.05,) * 20)


def _rows() -> list[tuple[int, Fault]]:
    """All rows, numbered, the kinds well mixed."""
    rows = [(place / fault.rows, kind, fault) for kind, fault in enumerate(FAULTS) for place in range(fault.rows)]
    return [(number, fault) for number, (_, _, fault) in enumerate(sorted(rows, key=lambda row: row[:2]))]


def test_each_row_of_a_bad_table_ends_as_the_truth_says(shops: dict[str, Shop], tmp_path: Path) -> None:
    assert {fault.status for fault in FAULTS} == set(FetchStatus)
    shops["strict"].robots = (200, "User-agent: otherbot\nAllow: /\n\nUser-agent: *\nDisallow: /good\n")
    places = {name: shop.url for name, shop in shops.items()}
    places["tls"] = places["shop"].replace("http", "https")
    rows = _rows()
    urls = [fault.url and fault.url.format(**places, n=number) for number, fault in rows]
    table = table_of(urls)
    third = len(rows) // 3
    shards = [table.slice(0, third), table.slice(third, third), table.slice(2 * third)]
    workplace = Workplace(tmp_path)
    fields = {"clocks": CLOCKS, "per_host": PER_HOST, "max_bytes": MAX_BYTES, "max_attempts": MAX_ATTEMPTS}

    wanted = {"first": Counter[str](), "second": Counter[str]()}
    for (_, fault), url in zip(rows, urls, strict=True):
        wanted["first"][url or ""] += fault.asked
        wanted["second"][url or ""] += fault.again
    for run in wanted:
        before = _asked(shops)
        tables = StageTables(tmp_path / run, "fetch")
        outcome = run_shards(workplace.stage(**fields), tables, shards)
        assert outcome.read == len(rows)
        _check_statuses(tables, rows)
        _check_pictures(tables, workplace)
        counted = _asked(shops) - before
        # Whoever sends more than he said breaks the next request on that connection as well, and it is asked again.
        judged = [url for url in wanted[run] if not url.startswith((places["rude"], places["slow"]))]
        assert {url: counted[url] for url in judged if counted[url] != wanted[run][url]} == {}
        _check_tries(tables, rows)
        slow = [url for url in wanted[run] if url.startswith(places["slow"])]
        assert slow and all(1 <= counted[url] <= wanted[run][url] for url in slow)
        assert all(counted[url] <= 2 * MAX_ATTEMPTS for url in wanted[run])
        assert not {url: counted[url] for url in wanted[run] if counted[url] and not wanted[run][url]}
    assert all(shops[name].most_under_way <= PER_HOST for name in ("shop", "strict", "busy"))
    assert [shop.robots_asked for shop in shops.values()] == [1] * 5, "robots.txt is asked once, for both runs"


def _asked(shops: dict[str, Shop]) -> Counter[str]:
    """Requests by link."""
    return Counter({f"{shop.url}{target}": count for shop in shops.values() for target, count in shop.targets.items()})


def _check_statuses(tables: StageTables, rows: list[tuple[int, Fault]]) -> None:
    kept, rejected = tables.read_kept(), tables.read_rejected()
    found = dict.fromkeys(kept["row_id"].to_pylist(), "ok")
    found |= dict(zip(rejected["row_id"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert kept.num_rows + rejected.num_rows == len(found) == len(rows)
    wrong = {
        fault.url: (found[f"{number:05d}"], str(fault.status))
        for number, fault in rows
        if found[f"{number:05d}"] != fault.status
    }
    assert wrong == {}


def _check_tries(tables: StageTables, rows: list[tuple[int, Fault]]) -> None:
    """A request that times out may be given up before the server has read it, so here the client says how often."""
    tries = {row["row_id"]: row["fetch_attempts"] for row in tables.read_rejected().to_pylist()}
    slow = [(number, fault) for number, fault in rows if fault.status is FetchStatus.TIMEOUT]
    assert slow and all(tries[f"{number:05d}"] == fault.asked for number, fault in slow)


def _check_pictures(tables: StageTables, workplace: Workplace) -> None:
    """Each kept row has the picture that its own link shows."""
    for row in tables.read_kept().to_pylist():
        data = workplace.images.read(row["image_sha256"], row["image_ext"])
        assert number_in(data) == int(row["row_id"]), row["image_url"]
        assert data == jpeg(int(row["row_id"]))
