"""How many requests may be under way, at once and to one host, and which hosts have asked for rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from nameplate.records import FetchStatus
from nameplate.stages.fetch.result import LinkFailed
from nameplate.stages.fetch.retry import LONGEST_REST_SECONDS


class _Host:
    def __init__(self, per_host: int) -> None:
        self.slots = asyncio.Semaphore(per_host)
        self.not_before = 0.0


class HostGates:
    """Turns for requests. Limits are fixed here; a host's own pace (slower after trouble) would live in this class."""

    def __init__(self, *, concurrency: int, per_host: int) -> None:
        self._total = asyncio.Semaphore(concurrency)
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a turn to ask `host`, and hold it for the length of the block.

        Raises:
            LinkFailed: `http_429`, when the host asked for a longer rest than we wait.
        """
        gate = self._hosts.setdefault(host, _Host(self._per_host))
        # Host first: waiters of a slow host must not hold the turns that all hosts share.
        async with gate.slots:
            await _rested(gate)
            async with self._total:
                yield

    def rest(self, host: str, seconds: float) -> None:
        """Leave `host` alone for so long."""
        gate = self._hosts.setdefault(host, _Host(self._per_host))
        gate.not_before = max(gate.not_before, monotonic() + seconds)


async def _rested(gate: _Host) -> None:
    while (rest := gate.not_before - monotonic()) > 0:
        if rest > LONGEST_REST_SECONDS:
            raise LinkFailed(FetchStatus.HTTP_429, "not asked: the host has asked to be left alone for longer")
        await asyncio.sleep(rest)
