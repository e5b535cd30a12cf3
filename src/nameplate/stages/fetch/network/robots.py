"""robots.txt (RFC 9309): asked once a day per origin, before anything else there, and obeyed.

2xx                     its rules, of which the first 500 KiB are read
4xx, too many redirects there are no rules: all is allowed
5xx, 429, 408, 425      all is disallowed for this run; the next one asks again
no answer               the link that asked ends with that failure
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from protego import Protego

from nameplate.engine import Answers, Shared
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.network.asker import MAX_REDIRECTS, Asker, Redirect, Visit
from nameplate.stages.fetch.network.causes import NOT_THE_HOSTS_FAULT, refuse_status
from nameplate.stages.fetch.network.guard import Link, parse_link
from nameplate.stages.fetch.network.optout import is_permitted, product_token
from nameplate.stages.fetch.network.retry import TRANSIENT_HTTP
from nameplate.stages.fetch.result import LinkFailed

MAX_ROBOTS_BYTES: Final = 500 * 1024
BELIEVED_SECONDS: Final = 24 * 3600.0
ROBOTS_VERSION: Final = 1


@dataclass(frozen=True)
class _Rules:
    """What an origin allows: by rules, all (no rules), or nothing (no rules, and an `http_status`)."""

    protego: Protego | None
    http_status: int | None
    asked_at: float

    def is_current(self) -> bool:
        return time.time() - self.asked_at < BELIEVED_SECONDS

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> _Rules:
        text = value["text"]
        return cls(Protego.parse(text) if text else None, value["http_status"], value["at"])


class RobotsBook:
    """What the origins allow us, kept in the journal for a day so that a resume does not ask again.

    Args:
        asker: sends the requests.
        section: our name, and the hosts that permit us all.
        gates: the `HostGates` of all workers: one of them asks, the others wait.
        worker: our name there.
        journal: where robots.txt files are kept, under keys that no link can have.
        run_id: this run, for which a refusal by 5xx holds.
        in_thread: for parsing and for the journal.
    """

    def __init__(
        self,
        asker: Asker,
        *,
        section: FetchSection,
        gates: Shared,
        worker: str,
        journal: Answers,
        run_id: str,
        in_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        self._asker = asker
        self._section = section
        self._agent = product_token(section.user_agent)
        self._gates = gates
        self._worker = worker
        self._journal = journal
        self._run_id = run_id
        self._in_thread = in_thread
        self._known: dict[str, _Rules] = {}
        self._tries: dict[str, int] = {}

    async def judge(self, link: Link, figures: LinkFigures) -> None:
        """Pass, when the origin of `link` allows us to ask for it.

        Raises:
            LinkFailed: `robots_disallowed`, or why its robots.txt could not be asked.
        """
        if is_permitted(link.host, self._section.permitted_hosts):
            return
        rules = self._known.get(link.origin)
        if rules is None or not rules.is_current():
            rules = await self._rules_of(link, figures)
        if rules.http_status is not None:
            detail = f"robots.txt answered {rules.http_status}, which disallows all for this run"
            raise LinkFailed(FetchStatus.ROBOTS_DISALLOWED, detail, http_status=rules.http_status)
        if rules.protego is not None and not rules.protego.can_fetch(link.url, self._agent):
            raise LinkFailed(FetchStatus.ROBOTS_DISALLOWED, f"robots.txt of {link.authority} disallows {self._agent}")

    async def _rules_of(self, link: Link, figures: LinkFigures) -> _Rules:
        key = f"robots {link.origin}"
        while not await self._gates.ask("claim", self._worker, key):
            pass
        try:
            known = self._known.get(link.origin)
            if known is not None and known.is_current():
                return known
            entry = await self._in_thread(self._recall, key)
            if entry is None:
                entry = await self._ask(link, figures)
                await self._in_thread(self._journal.put, key, 0, entry)
            rules: _Rules = await self._in_thread(_Rules.from_json, entry)
            self._known[link.origin] = rules
            return rules
        finally:
            await self._gates.ask("unclaim", self._worker, key)

    def _recall(self, key: str) -> Mapping[str, Any] | None:
        entry = self._journal.last(key)
        if entry is None or entry["version"] != ROBOTS_VERSION:
            return None
        if entry["http_status"] is not None and entry["run"] != self._run_id:
            return None
        return entry if time.time() - entry["at"] < BELIEVED_SECONDS else None

    async def _ask(self, link: Link, figures: LinkFigures) -> Mapping[str, Any]:
        text, http_status = None, None
        try:
            text = await self._text(link, figures)
        except LinkFailed as failure:
            if failure.http_status is None or 200 <= failure.http_status < 300:
                raise
            if failure.http_status in TRANSIENT_HTTP:
                http_status = failure.http_status
                self._count_try(link, failure)
        return {
            "version": ROBOTS_VERSION,
            "run": self._run_id,
            "at": time.time(),
            "http_status": http_status,
            "text": text,
        }

    def _count_try(self, link: Link, failure: LinkFailed) -> None:
        """Let "not now" end the try of a link, which will come back, unless that was often enough."""
        self._tries[link.origin] = self._tries.get(link.origin, 0) + 1
        if self._tries[link.origin] < self._section.max_attempts:
            raise LinkFailed(
                FetchStatus.ROBOTS_DISALLOWED,
                f"robots.txt answered {failure.http_status}",
                http_status=failure.http_status,
                transient=True,
                retry_after_seconds=failure.retry_after_seconds,
            ) from failure

    async def _text(self, link: Link, figures: LinkFigures) -> str | None:
        """The file, wherever redirects lead; none: it is nowhere."""
        place, base = "/robots.txt", link.url
        for hop in range(MAX_REDIRECTS + 1):
            try:
                target = parse_link(place, base=base)
                visit = Visit(figures, self._section.clocks.total_seconds)
                async with self._asker.asked(target, visit, read=_read_start) as answer:
                    if not isinstance(answer, Redirect):
                        return answer
            except LinkFailed as failure:
                if hop > 0 and failure.status in NOT_THE_HOSTS_FAULT:
                    return None
                raise
            place, base = answer.location, target.url
        return None


async def _read_start(response: aiohttp.ClientResponse) -> str:
    """The first 500 KiB as text, without a line that is cut through."""
    refuse_status(response)
    data = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        data += piece
        if len(data) > MAX_ROBOTS_BYTES:
            data = data[: data.rfind(b"\n", 0, MAX_ROBOTS_BYTES) + 1]
            break
    return data.decode("utf-8-sig", errors="replace")
