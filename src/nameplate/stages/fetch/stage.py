"""The fetch stage: every row's image ends with one typed status, and every good image lies in the store.

Several shards run at once in one process, and several processes may do so beside it. What must hold for all of them
together (the turns of a host, that no link is under way twice) is kept by the shared `HostGates`; what must hold for
all runs is kept by the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from nameplate.engine import Makers, Moves, Services, ShardResult, ShardStage
from nameplate.progress import Advance
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus, StageName
from nameplate.stages.fetch.figures import LinkFigures
from nameplate.stages.fetch.ledger import new_run_id
from nameplate.stages.fetch.network.guard import AddressGuard, Link, parse_link
from nameplate.stages.fetch.network.hosts import HostGates
from nameplate.stages.fetch.network.pace import REST_SECONDS
from nameplate.stages.fetch.overview import find_placeholders, summarise
from nameplate.stages.fetch.result import LinkFailed, LinkResult
from nameplate.stages.fetch.workshop import Endings, Job, Workshop, lease_seconds
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

VERSION = 2

GATES: Final = "hosts"

# A lock cannot be pickled, and a stage must be; it is held for moments only.
_OPENING = threading.Lock()


class FetchStage(ShardStage):
    """Fetches the images of a shard's rows; rows with one link share one request.

    Args:
        section: limits, clocks and allowed networks.
        images: where good images are kept.
        journal: file in which each link is written down as soon as it has ended.

    Raises:
        RecipeError: `allow_networks` holds something that is no network.
    """

    name: ClassVar[StageName] = "fetch"
    distributes: ClassVar[bool] = True
    shards_at_once: ClassVar[int] = 3

    def __init__(self, section: FetchSection, *, images: ImageStore, journal: Path) -> None:
        self._section = section
        self._images = images
        self._journal = journal
        self._guard = AddressGuard(section.allow_networks)
        self._run_id = new_run_id()
        self._workshop: Workshop | None = None
        self._open = ExitStack()
        self._closed = False

    def serve(self, services: Services) -> None:
        """Be given the services of an engine; a stage that was closed may run again."""
        super().serve(services)
        self._closed = False

    def shared(self) -> Makers:
        """The turns of the hosts, dealt out by one object for all workers."""
        per_host, seconds = self._section.per_host, lease_seconds(self._section)
        return {GATES: partial(HostGates, per_host=per_host, lease_seconds=seconds, rest_seconds=REST_SECONDS)}

    def journals(self) -> Sequence[Path]:
        """The ledger of links."""
        return (self._journal,)

    def folders(self) -> Sequence[Path]:
        """The store of images."""
        return (self._images.root,)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """End the images of all rows.

        Raises:
            RunDirectoryError: the disk is full, or an image that came with the table is gone.
        """
        figures = LinkFigures()
        table = rows.to_pylist()
        keys, endings = self._ended(table, figures, advance)
        kept, rejected = [], []
        for row, key in zip(table, keys, strict=True):
            result = endings[key] if isinstance(key, Link | str) else key
            row = {**row, **result.columns()}
            if result.status is FetchStatus.OK:
                kept.append(row)
            else:
                rejected.append({**row, "reason": str(result.status), "detail": result.detail})
        return self.result(kept, rejected, figures.as_json())

    def look(self, rows: pa.Table, *, seconds: float) -> dict[str, LinkResult]:
        """How the images of some rows end, by `row_id`; rows that have not ended in so many seconds are left out."""
        table = rows.to_pylist()
        keys, endings = self._ended(table, LinkFigures(), lambda _: None, seconds=seconds)
        found = {}
        for row, key in zip(table, keys, strict=True):
            result = endings.get(key) if isinstance(key, Link | str) else key
            if result is not None:
                found[row["row_id"]] = result
        return found

    def close(self) -> None:
        """Stop what is under way; shards that still run end with `CancelledError`."""
        with _OPENING:
            self._closed = True
            if self._workshop is not None:
                self._workshop.close()
                self._workshop = None
            self._open.close()

    def second_look(self, tables: StageTables) -> Moves:
        """Reject images that many products share: the shop's "no image" tile."""
        return find_placeholders(tables, min_products=self._section.placeholder_min_products)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """What the whole table and the figures of its shards say."""
        return summarise(tables).model_dump()

    def _ended(
        self,
        table: Sequence[Mapping[str, Any]],
        figures: LinkFigures,
        advance: Advance,
        *,
        seconds: float | None = None,
    ) -> tuple[list[Link | str | LinkResult], Endings]:
        """What each row waits for, and how those things ended; or how it ended at once."""
        parsed: dict[str | None, Link | LinkResult] = {}
        jobs: dict[Link | str, Job] = {}
        keys: list[Link | str | LinkResult] = []
        for row in table:
            url, blob = row["image_url"], row["image_blob"]
            key = blob if blob is not None else parsed.setdefault(url, _parsed(url))
            keys.append(key)
            if not isinstance(key, LinkResult):
                job = jobs.get(key) or Job(key, 0, row["page_url"])
                jobs[key] = job._replace(rows=job.rows + 1)
        for result in parsed.values():
            if isinstance(result, LinkResult):
                figures.add(None, result, known=False)
        advance(sum(isinstance(key, LinkResult) for key in keys))
        endings: Endings = {}
        if jobs:
            self._opened().end_all(jobs.values(), figures, advance, endings=endings, seconds=seconds)
        return keys, endings

    def _opened(self) -> Workshop:
        """The workshop of this process, made when it is first needed."""
        with _OPENING:
            assert not self._closed, "the stage was closed"
            if self._workshop is None:
                journal = self._open.enter_context(self.services.journal(self._journal))
                self._workshop = Workshop(
                    self._section,
                    guard=self._guard,
                    images=self._images,
                    journal=journal,
                    gates=self.services.shared(GATES),
                    home=self.services.home(),
                    run_id=self._run_id,
                )
            return self._workshop


def _parsed(text: str | None) -> Link | LinkResult:
    if text is None or not text.strip():
        return LinkResult(FetchStatus.MISSING_URL, "no link in this row")
    try:
        return parse_link(text)
    except LinkFailed as failure:
        return LinkResult.failed(failure)
