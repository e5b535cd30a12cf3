"""The fetch stage: every row's link ends with one typed status, and every good image lies in the store.

Not yet here, each with its place: robots.txt (`optout.py`), a pace per host that slows down after trouble
(`hosts.py`), a time to live for final failures (`ledger.py`), colour conversion and HEIC (`decode.py`).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from nameplate.engine import Moves, ShardResult, ShardStage
from nameplate.progress import Advance
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus, StageName
from nameplate.stages.fetch.client import LinkClient, open_session
from nameplate.stages.fetch.decode import decode, strict_pillow
from nameplate.stages.fetch.guard import AddressGuard, Link, parse_link
from nameplate.stages.fetch.hosts import HostGates
from nameplate.stages.fetch.ledger import LinkLedger, new_run_id
from nameplate.stages.fetch.overview import find_placeholders, hosts_and_bytes
from nameplate.stages.fetch.result import KeptImage, LinkFailed, LinkResult
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables

VERSION = 1

_MAX_DECODERS = 4


class FetchStage(ShardStage):
    """Fetches the images of a shard's rows; rows with one link share one request.

    Args:
        section: limits, clocks and allowed networks.
        images: where good images are kept, byte for byte as they came.
        journal: file in which each link is written down as soon as it has ended.

    Raises:
        RecipeError: `allow_networks` holds something that is no network.
    """

    name: ClassVar[StageName] = "fetch"

    def __init__(self, section: FetchSection, *, images: ImageStore, journal: Path) -> None:
        self._section = section
        self._images = images
        self._journal = journal
        self._guard = AddressGuard(section.allow_networks)
        self._run_id = new_run_id()
        self._requests = 0

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Fetch the links of all rows.

        Raises:
            RunDirectoryError: the disk is full.
        """
        table = rows.to_pylist()
        parsed = {text: _parsed(text) for text in {row["image_url"]: None for row in table}}
        weights = Counter(link for row in table if isinstance(link := parsed[row["image_url"]], Link))
        advance(len(table) - weights.total())
        ended = self._fetch(weights, advance)
        endings = {text: ended[each.url] if isinstance(each, Link) else each for text, each in parsed.items()}
        return self._decided(table, endings)

    def second_look(self, tables: StageTables) -> Moves:
        """Reject images that many products share: the shop's "no image" tile."""
        return find_placeholders(tables, min_products=self._section.placeholder_min_products)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """`requests` sent by this process, `bytes` of distinct kept images, and links by `hosts`."""
        return {"requests": self._requests, **hosts_and_bytes(tables)}

    def _fetch(self, weights: Mapping[Link, int], advance: Advance) -> dict[str, LinkResult]:
        """End every link, those known from before without a request; `weights` are rows per link."""
        with Journal(self._journal) as journal:
            ledger = LinkLedger(journal, images=self._images, section=self._section, run_id=self._run_id)
            known = {link.url: ledger.recall(link.url) for link in weights}
            results = {url: result for url, result in known.items() if result is not None}
            advance(sum(weight for link, weight in weights.items() if link.url in results))
            missing = {link: weight for link, weight in weights.items() if link.url not in results}
            if missing:
                with strict_pillow():
                    results.update(asyncio.run(self._ask_all(missing, ledger, advance)))
        return results

    async def _ask_all(
        self, weights: Mapping[Link, int], ledger: LinkLedger, advance: Advance
    ) -> dict[str, LinkResult]:
        section = self._section
        gates = HostGates(concurrency=section.concurrency, per_host=section.per_host)
        results: dict[str, LinkResult] = {}

        async def end(link: Link, client: LinkClient) -> None:
            result = await client.fetch(link)
            ledger.keep(link.url, result)
            results[link.url] = result
            advance(weights[link])

        with ThreadPoolExecutor(min(_MAX_DECODERS, os.cpu_count() or 1), "decode") as decoders:

            def keep(data: bytes) -> Awaitable[KeptImage]:
                return asyncio.get_running_loop().run_in_executor(decoders, self._check_and_keep, data)

            async with open_session(section, self._guard, on_request=self._count_request) as session:
                client = LinkClient(session, section=section, gates=gates, keep=keep)
                await _all_or_first_error([end(link, client) for link in weights])
        return results

    def _check_and_keep(self, data: bytes) -> KeptImage:
        image = decode(data, self._section)
        sha256 = self._images.put(data, image.kind.ext)
        return KeptImage(sha256, image.kind.ext, image.width, image.height, len(data))

    def _count_request(self) -> None:
        self._requests += 1

    def _decided(self, table: Sequence[dict[str, Any]], endings: Mapping[str | None, LinkResult]) -> ShardResult:
        kept, rejected = [], []
        for row in table:
            result = endings[row["image_url"]]
            row = {**row, **result.columns()}
            if result.status is FetchStatus.OK:
                kept.append(row)
            else:
                rejected.append({**row, "reason": str(result.status), "detail": result.detail})
        return self.result(kept, rejected)


def _parsed(text: str | None) -> Link | LinkResult:
    if text is None or not text.strip():
        return LinkResult(FetchStatus.MISSING_URL, "no link in this row")
    try:
        return parse_link(text)
    except LinkFailed as failure:
        return LinkResult.failed(failure)


async def _all_or_first_error(work: Sequence[Any]) -> None:
    """Run coroutines together; the first error stops the others and comes out as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
