"""Which links and addresses are open: truth tables."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from nameplate.errors import RecipeError
from nameplate.records import FetchStatus
from nameplate.stages.fetch.network.guard import AddressGuard, GuardedResolver, parse_link
from nameplate.stages.fetch.result import LinkFailed


def _refusal(guard: AddressGuard, address: str, port: int = 80) -> FetchStatus | None:
    try:
        guard.check(address, port)
    except LinkFailed as failure:
        return failure.status
    return None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # cloud metadata
        "100.64.0.1",  # carrier-grade NAT
        "192.0.2.1",  # documentation
        "224.0.0.1",  # multicast, which Python calls global
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",  # site-local, which Python calls global
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "2002:a00:1::",  # 6to4 of 10.0.0.1
        "not-an-address",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert _refusal(AddressGuard(()), address) is FetchStatus.ADDRESS_BLOCKED


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"]
)
def test_a_public_address_passes_on_web_ports_only(address: str) -> None:
    guard = AddressGuard(())
    assert [_refusal(guard, address, port) for port in (80, 443)] == [None, None]
    assert [_refusal(guard, address, port) for port in (22, 8080)] == [FetchStatus.ADDRESS_BLOCKED] * 2


def test_an_allowed_network_opens_its_own_addresses_on_any_port_and_no_others() -> None:
    guard = AddressGuard(("127.0.0.0/8",))
    assert _refusal(guard, "127.0.0.1", 8123) is None
    assert _refusal(guard, "::ffff:127.0.0.1", 8123) is None
    assert _refusal(guard, "10.0.0.1") is FetchStatus.ADDRESS_BLOCKED
    assert _refusal(guard, "::1") is FetchStatus.ADDRESS_BLOCKED


def test_a_malformed_network_is_the_recipes_fault() -> None:
    with pytest.raises(RecipeError, match=r"fetch\.allow_networks.*'10\.0\.0\.1/8'.*CIDR"):
        AddressGuard(("10.0.0.1/8",))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("file:///etc/passwd", FetchStatus.SCHEME_BLOCKED),
        ("ftp://shop.example/a.jpg", FetchStatus.SCHEME_BLOCKED),
        ("data:image/png;base64,AAAA", FetchStatus.SCHEME_BLOCKED),
        ("shop.example/a.jpg", FetchStatus.BAD_URL),
        ("//shop.example/a.jpg", FetchStatus.BAD_URL),
        ("http:///a.jpg", FetchStatus.BAD_URL),
        ("http://user:secret@shop.example/a.jpg", FetchStatus.BAD_URL),
        ("http://user@shop.example/a.jpg", FetchStatus.BAD_URL),
        ("http://shop.example:port/a.jpg", FetchStatus.BAD_URL),
        ("http://[::1/a.jpg", FetchStatus.BAD_URL),
    ],
)
def test_a_link_that_is_not_plain_http_is_refused(text: str, status: FetchStatus) -> None:
    with pytest.raises(LinkFailed) as caught:
        parse_link(text)
    assert caught.value.status is status
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" HTTP://Shop.Example:80/A.jpg?b=C#part ", "http://shop.example/A.jpg?b=C"),
        ("https://shop.example:443", "https://shop.example/"),
        ("http://shop.example:8080/a", "http://shop.example:8080/a"),
        ("http://[2001:DB8::1]:81/a", "http://[2001:db8::1]:81/a"),
    ],
)
def test_equal_links_have_one_normal_form(text: str, url: str) -> None:
    assert parse_link(text).url == url


@pytest.mark.parametrize(
    ("addresses", "passes"),
    [(["8.8.8.8", "1.1.1.1"], True), (["8.8.8.8", "10.0.0.1"], False), (["127.0.0.1"], False)],
)
def test_a_name_with_one_closed_address_is_refused_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], passes: bool
) -> None:
    async def answer(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        return [{"hostname": host, "host": address, "port": port} for address in addresses]

    async def resolve() -> list[str]:
        found = await GuardedResolver(AddressGuard(())).resolve("shop.example", 80, socket.AF_UNSPEC)
        return [entry["host"] for entry in found]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", answer)
    if passes:
        assert asyncio.run(resolve()) == addresses
    else:
        with pytest.raises(LinkFailed) as caught:
            asyncio.run(resolve())
        assert caught.value.status is FetchStatus.ADDRESS_BLOCKED
