"""Links come from strangers: what may be asked for, and which addresses may be connected to.

The address is checked twice. The resolver refuses a name of which any address is closed to us; the socket factory
checks the very address that is about to be connected to, so no literal address, redirect or parser's whim can pass by.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import aiohttp
from aiohttp.abc import ResolveResult

from nameplate.errors import RecipeError
from nameplate.records import FetchStatus
from nameplate.stages.fetch.result import LinkFailed

IPAddress = IPv4Address | IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}

# Prefixes with an IPv4 address in the last 32 bits: NAT64 (RFC 6052) and the old compatible form (RFC 4291).
_LAST_32_BITS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))

# NAT64 within a site (RFC 8215): public by Python's table, private by its use.
_SITE_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")


class Link(NamedTuple):
    """A link that may be asked for. Equal links have equal `url`."""

    url: str
    host: str

    @property
    def authority(self) -> str:
        """Host and port, the port left out where it is the scheme's own."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        """Scheme, host and port: what one robots.txt speaks for."""
        return f"{urlsplit(self.url).scheme}://{self.authority}"


def parse_link(text: str, *, base: str = "") -> Link:
    """Check and normalise a link: scheme and host in lower case, no default port, no fragment.

    Args:
        text: the link; relative to `base` where a server redirects.
        base: the link that was asked, or empty.

    Raises:
        LinkFailed: `bad_url` or `scheme_blocked`.
    """
    try:
        parts = urlsplit(urljoin(base, text.strip()))
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LinkFailed(FetchStatus.BAD_URL, f"not a link ({error})") from None
    if not parts.scheme:
        raise LinkFailed(FetchStatus.BAD_URL, "no scheme; a link starts with http:// or https://")
    if parts.scheme not in DEFAULT_PORTS:
        raise LinkFailed(FetchStatus.SCHEME_BLOCKED, f"scheme '{parts.scheme}'; only http and https are fetched")
    if parts.username is not None or parts.password is not None:
        raise LinkFailed(FetchStatus.BAD_URL, "the link holds credentials")
    if not host:
        raise LinkFailed(FetchStatus.BAD_URL, "no host")
    return Link(_normalised(parts, host=host, port=port), host)


def _normalised(parts: SplitResult, *, host: str, port: int | None) -> str:
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != DEFAULT_PORTS[parts.scheme]:
        netloc += f":{port}"
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


class AddressGuard:
    """Which addresses may be connected to: public ones on ports 80 and 443, and all of `allow_networks`.

    Raises:
        RecipeError: an entry of `allow_networks` is not a network.
    """

    def __init__(self, allow_networks: Sequence[str]) -> None:
        self._allowed = [_network(text) for text in allow_networks]

    def check(self, address: str, port: int) -> None:
        """Pass, or refuse.

        Raises:
            LinkFailed: `address_blocked`.
        """
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            raise LinkFailed(FetchStatus.ADDRESS_BLOCKED, f"'{address}' is not an address") from None
        if self._is_allowed(found):
            return
        if not _is_public(found):
            raise LinkFailed(
                FetchStatus.ADDRESS_BLOCKED, f"{found} is not a public address; fetch.allow_networks may allow it"
            )
        if port not in DEFAULT_PORTS.values():
            raise LinkFailed(
                FetchStatus.ADDRESS_BLOCKED, f"port {port} of {found}; only 80 and 443, unless fetch.allow_networks"
            )

    def open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for one connection, if its address may be connected to (aiohttp's `socket_factory`)."""
        family, kind, proto, _, sockaddr = info
        self.check(str(sockaddr[0]), int(sockaddr[1]))
        return socket.socket(family, kind, proto)

    def _is_allowed(self, address: IPAddress) -> bool:
        plain = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
        return any(plain in network for network in self._allowed)


class GuardedResolver(aiohttp.ThreadedResolver):
    """Resolves names by the system, and refuses a name when any of its addresses is closed to us."""

    def __init__(self, guard: AddressGuard) -> None:
        super().__init__()
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`, all of them checked.

        Raises:
            LinkFailed: `address_blocked`, or `bad_url` for a name that cannot exist.
            OSError: the name is not known, or the resolver does not answer.
        """
        try:
            found = await super().resolve(host, port, family)
        except UnicodeError:
            raise LinkFailed(FetchStatus.BAD_URL, f"'{host}' cannot be a host's name") from None
        for entry in found:
            self._guard.check(entry["host"], port)
        return found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise RecipeError(
            "fetch.allow_networks", found=f"'{text}' is not a network ({error})", expected="CIDR such as 127.0.0.0/8"
        ) from None


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, IPv6Address) and (address.is_site_local or address in _SITE_NAT64):
        return False
    return all(each.is_global and not each.is_multicast for each in (address, *_embedded(address)))


def _embedded(address: IPAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a gateway would reach for an IPv6 address."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _LAST_32_BITS):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
