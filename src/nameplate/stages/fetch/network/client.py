"""Asking for one link: its tries, its redirects, and what each of them may be refused for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Final

import aiohttp

from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.network.asker import MAX_REDIRECTS, Asker, Visit
from nameplate.stages.fetch.network.causes import refuse_status
from nameplate.stages.fetch.network.guard import Link, parse_link
from nameplate.stages.fetch.network.optout import is_permitted, refusal
from nameplate.stages.fetch.network.retry import pause_before_retry
from nameplate.stages.fetch.network.robots import RobotsBook
from nameplate.stages.fetch.pixels.decode import kind_of
from nameplate.stages.fetch.pixels.limits import judge_bytes
from nameplate.stages.fetch.pixels.sniff import SNIFF_BYTES
from nameplate.stages.fetch.result import KeptImage, LinkFailed, LinkResult

PIECE_BYTES: Final = 1 << 16

Keep = Callable[[bytes], Awaitable[KeptImage]]
"""Checks a body, keeps it in the store and says what it is; raises LinkFailed."""


@dataclass(frozen=True)
class _Body:
    data: bytes
    http_status: int


class LinkClient:
    """Asks for links, one `fetch` per link."""

    def __init__(self, asker: Asker, *, section: FetchSection, robots: RobotsBook, keep: Keep) -> None:
        self._asker = asker
        self._section = section
        self._robots = robots
        self._keep = keep

    async def fetch(
        self, link: Link, figures: LinkFigures, *, page: str | None = None, suspect: bool = False
    ) -> LinkResult:
        """Ask until the link has ended: with a kept image, a final failure, or one try too many.

        Args:
            link: what to ask for.
            figures: count the requests.
            page: the product's page, for `fetch.referer`.
            suspect: whether an earlier run found it silent.
        """
        visit = Visit(figures, self._section.clocks.total_seconds, suspect=suspect)
        referer = _referer(page) if self._section.referer else None
        for attempt in count(1):
            try:
                return await self._try(link, visit, attempt)
            except LinkFailed as failure:
                if failure.status is FetchStatus.HTTP_403 and referer is not None:
                    failure.transient = attempt < self._section.max_attempts
                    visit.headers, referer = {"Referer": referer}, None
                pause = pause_before_retry(failure, attempt=attempt, max_attempts=self._section.max_attempts)
                if pause is None:
                    return LinkResult.failed(failure, attempts=attempt, ms=visit.ms)
            await asyncio.sleep(pause)
        raise AssertionError("pause_before_retry never ended the tries")

    async def _try(self, link: Link, visit: Visit, attempt: int) -> LinkResult:
        """Follow redirects by hand, so that each new address is checked like the first."""
        visit.start_try()
        seen: set[str] = set()
        while link.url not in seen and len(seen) <= MAX_REDIRECTS:
            seen.add(link.url)
            await self._robots.judge(link, visit.figures)
            async with self._asker.asked(link, visit, read=self._reader(link, visit.figures)) as answer:
                if isinstance(answer, _Body):
                    image = await self._kept(answer, visit)
                    return LinkResult(FetchStatus.OK, "", answer.http_status, image, link.url, attempt, visit.ms)
            link = parse_link(answer.location, base=link.url)
        raise LinkFailed(FetchStatus.REDIRECT_LOOP, f"redirected {len(seen)} times, at last to {link.url}")

    async def _kept(self, body: _Body, visit: Visit) -> KeptImage:
        started = monotonic()
        try:
            return await self._keep(body.data)
        except LinkFailed as failure:
            failure.http_status = body.http_status
            raise
        finally:
            visit.add(started)

    def _reader(self, link: Link, figures: LinkFigures) -> Callable[[aiohttp.ClientResponse], Awaitable[_Body]]:
        async def read(response: aiohttp.ClientResponse) -> _Body:
            refuse_status(response)
            if not is_permitted(link.host, self._section.permitted_hosts):
                self._obey_header(response)
            return _Body(await self._body(response, figures), response.status)

        return read

    def _obey_header(self, response: aiohttp.ClientResponse) -> None:
        directive = refusal(response.headers.getall("X-Robots-Tag", []), user_agent=self._section.user_agent)
        if directive is not None:
            raise LinkFailed(FetchStatus.OPTED_OUT, f"X-Robots-Tag: {directive}")

    async def _body(self, response: aiohttp.ClientResponse, figures: LinkFigures) -> bytes:
        """Read the body up to the cap, and no further than its head when that is no image's."""
        judge_bytes(response.content_length or 0, self._section)
        data = bytearray()
        sniffed = False
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            data += piece
            figures.count_bytes(len(piece))
            judge_bytes(len(data), self._section)
            if not sniffed and len(data) >= SNIFF_BYTES:
                kind_of(bytes(data[:SNIFF_BYTES]))
                sniffed = True
        return bytes(data)


def _referer(page: str | None) -> str | None:
    """The page's address as a header can hold it; none: it is no plain web address."""
    try:
        link = parse_link(page or "")
    except LinkFailed:
        return None
    return link.url if link.url.isascii() and link.url.isprintable() else None
