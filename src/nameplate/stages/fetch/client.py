"""Asking for one link: tries, redirects, clocks and caps; aiohttp's errors become typed failures here only."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import NamedTuple

import aiohttp

from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.decode import kind_of
from nameplate.stages.fetch.guard import AddressGuard, GuardedResolver, Link, parse_link
from nameplate.stages.fetch.hosts import HostGates
from nameplate.stages.fetch.limits import judge_bytes
from nameplate.stages.fetch.optout import refusal
from nameplate.stages.fetch.result import KeptImage, LinkFailed, LinkResult
from nameplate.stages.fetch.retry import TRANSIENT_HTTP, parse_retry_after, pause_before_retry
from nameplate.stages.fetch.sniff import SNIFF_BYTES

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})

PIECE_BYTES = 1 << 16

_NAMED_HTTP = {
    403: FetchStatus.HTTP_403,
    404: FetchStatus.HTTP_404,
    410: FetchStatus.HTTP_410,
    429: FetchStatus.HTTP_429,
}

Keep = Callable[[bytes], Awaitable[KeptImage]]
"""Checks a body, keeps it in the store and says what it is; raises LinkFailed."""


@dataclass(frozen=True)
class _Body:
    data: bytes
    url: str
    http_status: int


@dataclass(frozen=True)
class _Redirect:
    location: str


class _Cause(NamedTuple):
    status: FetchStatus
    detail: str
    transient: bool


class _Stopwatch:
    """Time spent on one link while its turn lasts; `start_try` sets the mark for the total clock."""

    def __init__(self, total_seconds: float) -> None:
        self._total = total_seconds
        self._spent = 0.0
        self._mark = 0.0

    def start_try(self) -> None:
        self._mark = self._spent

    def add(self, since: float) -> None:
        self._spent += monotonic() - since

    @property
    def left(self) -> float:
        # Never zero: aiohttp reads 0 as "no limit".
        return max(0.001, self._total - (self._spent - self._mark))

    @property
    def ms(self) -> int:
        return round(self._spent * 1000)


def open_session(
    section: FetchSection, guard: AddressGuard, *, on_request: Callable[[], None]
) -> aiohttp.ClientSession:
    """A session that connects only where `guard` lets it, keeps no cookies, and reports each request that it sends."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(guard),
        socket_factory=guard.open_socket,
        # Turns are dealt out by HostGates, outside of the clocks.
        limit=0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": section.user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        trace_configs=[_counting(on_request)],
    )


class LinkClient:
    """Asks for links, one `fetch` per link, within the turns that `gates` deals out."""

    def __init__(self, session: aiohttp.ClientSession, *, section: FetchSection, gates: HostGates, keep: Keep) -> None:
        self._session = session
        self._section = section
        self._gates = gates
        self._keep = keep

    async def fetch(self, link: Link) -> LinkResult:
        """Ask until the link has ended: with a kept image, a final failure, or one try too many."""
        watch = _Stopwatch(self._section.clocks.total_seconds)
        for attempt in count(1):
            try:
                return await self._try(link, watch, attempt)
            except LinkFailed as failure:
                pause = pause_before_retry(failure, attempt=attempt, max_attempts=self._section.max_attempts)
                if pause is None:
                    return LinkResult.failed(failure, attempts=attempt, ms=watch.ms)
            await asyncio.sleep(pause)
        raise AssertionError("pause_before_retry never ended the tries")

    async def _try(self, link: Link, watch: _Stopwatch, attempt: int) -> LinkResult:
        watch.start_try()
        body = await self._follow(link, watch)
        started = monotonic()
        try:
            image = await self._keep(body.data)
        except LinkFailed as failure:
            failure.http_status = body.http_status
            raise
        finally:
            watch.add(started)
        return LinkResult(FetchStatus.OK, "", body.http_status, image, body.url, attempt, watch.ms)

    async def _follow(self, link: Link, watch: _Stopwatch) -> _Body:
        """Follow redirects by hand, so that each new address is checked like the first."""
        seen: set[str] = set()
        while link.url not in seen and len(seen) <= MAX_REDIRECTS:
            seen.add(link.url)
            async with self._gates.turn(link.host):
                started = monotonic()
                try:
                    answer = await self._ask(link, watch.left)
                finally:
                    watch.add(started)
            if isinstance(answer, _Body):
                return answer
            link = parse_link(answer.location, base=link.url)
        raise LinkFailed(FetchStatus.REDIRECT_LOOP, f"redirected {len(seen)} times, at last to {link.url}")

    async def _ask(self, link: Link, seconds: float) -> _Body | _Redirect:
        section = self._section
        clocks = aiohttp.ClientTimeout(
            total=seconds,
            sock_connect=section.clocks.connect_seconds,
            sock_read=section.clocks.read_seconds,
        )
        http_status: int | None = None
        try:
            async with self._session.get(link.url, allow_redirects=False, timeout=clocks) as response:
                http_status = response.status
                # Leaving with a body half read closes the connection; nothing is drained.
                return await self._read(response, link)
        except LinkFailed as failure:
            failure.http_status = http_status
            raise
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _explained(error, section, http_status=http_status) from error

    async def _read(self, response: aiohttp.ClientResponse, link: Link) -> _Body | _Redirect:
        if response.status in REDIRECTS and "Location" in response.headers:
            return _Redirect(response.headers["Location"])
        self._refuse_status(response, link.host)
        directive = refusal(response.headers.getall("X-Robots-Tag", []), user_agent=self._section.user_agent)
        if directive is not None:
            raise LinkFailed(FetchStatus.OPTED_OUT, f"X-Robots-Tag: {directive}")
        return _Body(await self._body(response), link.url, response.status)

    def _refuse_status(self, response: aiohttp.ClientResponse, host: str) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        rest = parse_retry_after(response.headers.get("Retry-After")) if status in {429, 503} else None
        if rest is not None:
            self._gates.rest(host, rest)
        raise LinkFailed(
            _code_of(status),
            f"HTTP {status}",
            transient=status in TRANSIENT_HTTP,
            retry_after_seconds=rest,
        )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Read the body up to the cap, and no further than its head when that is no image's."""
        judge_bytes(response.content_length or 0, self._section)
        data = bytearray()
        sniffed = False
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            data += piece
            judge_bytes(len(data), self._section)
            if not sniffed and len(data) >= SNIFF_BYTES:
                kind_of(bytes(data[:SNIFF_BYTES]))
                sniffed = True
        return bytes(data)


def _counting(on_request: Callable[[], None]) -> aiohttp.TraceConfig:
    async def headers_sent(
        session: aiohttp.ClientSession, context: object, params: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        on_request()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(headers_sent)
    return trace


def _code_of(http_status: int) -> FetchStatus:
    if http_status in _NAMED_HTTP:
        return _NAMED_HTTP[http_status]
    if 400 <= http_status < 500:
        return FetchStatus.HTTP_4XX
    # A redirect without a place, or a 304 that nobody asked for: an answer, and no image in it.
    return FetchStatus.NOT_AN_IMAGE if http_status < 400 else FetchStatus.HTTP_5XX


def _explained(
    error: aiohttp.ClientError | TimeoutError, section: FetchSection, *, http_status: int | None
) -> LinkFailed:
    status, detail, transient = _cause(error, section)
    return LinkFailed(status, detail, http_status=http_status, transient=transient)


def _cause(error: aiohttp.ClientError | TimeoutError, section: FetchSection) -> _Cause:
    """What an aiohttp error means. The order counts: several of these classes inherit from each other."""
    if isinstance(error, TimeoutError):
        return _Cause(FetchStatus.TIMEOUT, _which_clock(error, section), transient=True)
    if isinstance(error, aiohttp.ClientSSLError):
        return _Cause(FetchStatus.TLS_ERROR, str(error), transient=False)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        cause = error.os_error
        again = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
        return _Cause(FetchStatus.DNS_ERROR, f"{error.host}: {cause.strerror}", transient=again)
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return _Cause(FetchStatus.BAD_URL, str(error), transient=False)
    if isinstance(error, aiohttp.ClientPayloadError):
        return _Cause(FetchStatus.TRUNCATED, f"the body ended early ({error})", transient=True)
    return _Cause(FetchStatus.CONNECT_ERROR, f"{type(error).__name__}: {error}", transient=True)


def _which_clock(error: TimeoutError, section: FetchSection) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {section.clocks.connect_seconds:g} s"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"nothing came for {section.clocks.read_seconds:g} s"
    return f"not finished within {section.clocks.total_seconds:g} s"
