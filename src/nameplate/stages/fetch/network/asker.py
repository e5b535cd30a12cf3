"""Sending single requests: a turn at the host, a seat in this process, the clocks, and no redirect followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import SimpleNamespace
from typing import Final, TypeVar

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from nameplate.engine import Shared
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.network.causes import ending_of, explained
from nameplate.stages.fetch.network.guard import AddressGuard, GuardedResolver, Link
from nameplate.stages.fetch.network.hosts import Turn
from nameplate.stages.fetch.network.pace import Ending, Outcome
from nameplate.stages.fetch.result import LinkFailed

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS: Final = 5
DNS_CACHE_SECONDS: Final = 300

Read = TypeVar("Read")


@dataclass(frozen=True)
class Redirect:
    """A server's word that the thing is elsewhere; `location` is not checked yet."""

    location: str


@dataclass
class Visit:
    """One link's time in requests and decoding, waiting for turns left out, and whom its requests are counted for."""

    figures: LinkFigures
    total_seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the first request of the try only."""
    suspect: bool = False
    """Whether the link has been silent before."""
    spent: float = 0.0
    _mark: float = 0.0

    def start_try(self) -> None:
        """Set the total clock back."""
        self._mark = self.spent

    def add(self, since: float) -> None:
        """Count the time since a moment of `monotonic`."""
        self.spent += monotonic() - since

    @property
    def left(self) -> float:
        """Seconds that this try may still take."""
        # Never zero: aiohttp reads 0 as "no limit".
        return max(0.001, self.total_seconds - (self.spent - self._mark))

    @property
    def ms(self) -> int:
        """Time spent."""
        return round(self.spent * 1000)


def open_session(section: FetchSection, guard: AddressGuard) -> aiohttp.ClientSession:
    """A session that connects only where `guard` lets it, keeps no cookies, and counts each request that it sends."""
    connector = _QuietConnector(
        resolver=GuardedResolver(guard),
        socket_factory=guard.open_socket,
        ttl_dns_cache=DNS_CACHE_SECONDS,
        # Turns and seats are dealt out outside of the clocks.
        limit=0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": section.user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        trace_configs=[_counting()],
    )


class _QuietConnector(aiohttp.TCPConnector):
    """Uses no kept connection on which a server has said more than it was asked for.

    aiohttp would take that for the answer to the next request, and each link from there on would get its
    predecessor's image.
    """

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


class Asker:
    """Sends requests of one process.

    Args:
        session: from `open_session`.
        section: clocks, and the most requests under way at once.
        gates: the `HostGates` of all workers.
        worker: our name there.
    """

    def __init__(self, session: aiohttp.ClientSession, *, section: FetchSection, gates: Shared, worker: str) -> None:
        self._session = session
        self._clocks = section.clocks
        self._seats = asyncio.Semaphore(section.concurrency)
        self._gates = gates
        self._worker = worker

    @asynccontextmanager
    async def asked(
        self, link: Link, visit: Visit, *, read: Callable[[aiohttp.ClientResponse], Awaitable[Read]]
    ) -> AsyncIterator[Read | Redirect]:
        """Ask once, and yield what `read` made of the answer.

        The turn at the host ends with the answer. The seat is held to the end of the block, so that no more bodies lie
        in memory than requests may be under way, however slow the decoders are.

        Raises:
            LinkFailed: by any cause.
        """
        lease = await self._turn(link.authority)
        ending = Ending()
        try:
            # Host first: waiters of a slow host must not hold the seats that all hosts share.
            await self._seats.acquire()
        except BaseException:
            await self._gates.ask("release", lease, ending)
            raise
        try:
            try:
                answer = await self._ask(link, visit, read)
                ending = ending_of(None)
            except LinkFailed as failure:
                ending = ending_of(failure)._replace(suspect=visit.suspect)
                visit.suspect = visit.suspect or ending.outcome is Outcome.SILENT
                raise
            finally:
                await self._gates.ask("release", lease, ending)
            yield answer
        finally:
            self._seats.release()

    async def _turn(self, host: str) -> int:
        while True:
            turn: Turn = await self._gates.ask("acquire", self._worker, host)
            if turn.closed is not None:
                raise LinkFailed(FetchStatus(turn.closed.status), f"not asked: {turn.closed.detail}")
            if turn.lease is not None:
                return turn.lease

    async def _ask(
        self, link: Link, visit: Visit, read: Callable[[aiohttp.ClientResponse], Awaitable[Read]]
    ) -> Read | Redirect:
        clocks = aiohttp.ClientTimeout(
            total=visit.left,
            connect=self._clocks.connect_seconds,
            sock_connect=self._clocks.connect_seconds,
            sock_read=self._clocks.read_seconds,
        )
        headers, visit.headers = visit.headers, {}
        http_status: int | None = None
        started = monotonic()
        try:
            async with self._session.get(
                link.url, allow_redirects=False, timeout=clocks, headers=headers, trace_request_ctx=visit.figures
            ) as response:
                http_status = response.status
                if response.status in REDIRECTS and "Location" in response.headers:
                    return Redirect(response.headers["Location"])
                # Leaving with a body half read closes the connection; nothing is drained.
                return await read(response)
        except LinkFailed as failure:
            failure.http_status = http_status
            raise
        except (aiohttp.ClientError, TimeoutError) as error:
            raise explained(error, self._clocks, http_status=http_status) from error
        finally:
            visit.add(started)


def _counting() -> aiohttp.TraceConfig:
    async def headers_sent(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        context.trace_request_ctx.count_request()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(headers_sent)
    return trace
