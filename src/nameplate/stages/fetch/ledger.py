"""What is known of links from before, so that nothing that ended is asked again."""

from __future__ import annotations

import uuid

from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.limits import judge_bytes, judge_size
from nameplate.stages.fetch.result import LinkFailed, LinkResult
from nameplate.stages.fetch.retry import TRANSIENT_HTTP
from nameplate.store.fingerprint import fingerprint
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal

LEDGER_VERSION = 1

ASKED_AGAIN = frozenset(
    {
        FetchStatus.DNS_ERROR,
        FetchStatus.CONNECT_ERROR,
        FetchStatus.TLS_ERROR,
        FetchStatus.TIMEOUT,
        FetchStatus.HTTP_429,
        FetchStatus.HTTP_5XX,
    }
)
"""Failures of the moment: asked again by the next run, not by this one. All others are final."""

BY_LIMITS = frozenset(
    {
        FetchStatus.ADDRESS_BLOCKED,
        FetchStatus.TOO_MANY_BYTES,
        FetchStatus.TOO_MANY_PIXELS,
        FetchStatus.TOO_SMALL,
    }
)
"""Failures by the recipe's own limits: final as long as these stay the same."""


def new_run_id() -> str:
    """A name for one run of the stage, to tell this run's failures from those of earlier ones."""
    return uuid.uuid4().hex


class LinkLedger:
    """The journal of links, one entry per normalised URL, read with the eyes of one recipe section.

    Negative entries have no time to live yet: a final failure stays final as long as the journal does.
    """

    def __init__(self, journal: Journal, *, images: ImageStore, section: FetchSection, run_id: str) -> None:
        self._journal = journal
        self._images = images
        self._section = section
        self._run_id = run_id
        self._limits = fingerprint(section.max_bytes, section.image, section.allow_networks)

    def recall(self, url: str) -> LinkResult | None:
        """How the link ended before; none: it must be asked."""
        entry = self._journal.last(url)
        if entry is None or entry["version"] != LEDGER_VERSION:
            return None
        result = LinkResult.from_json(entry["result"])
        if result.image is not None:
            kept = self._images.path(result.image.sha256, result.image.ext).exists()
            return self._judged_again(result) if kept else None
        if result.status in ASKED_AGAIN or result.http_status in TRANSIENT_HTTP:
            return result if entry["run"] == self._run_id else None
        if result.status in BY_LIMITS:
            return result if entry["limits"] == self._limits else None
        return result

    def keep(self, url: str, result: LinkResult) -> None:
        """Write down how the link ended.

        Raises:
            RunDirectoryError: the disk is full.
        """
        entry = {"version": LEDGER_VERSION, "run": self._run_id, "limits": self._limits, "result": result.to_json()}
        self._journal.put(url, 0, entry)

    def _judged_again(self, result: LinkResult) -> LinkResult:
        """A kept image under today's limits, which may be stricter than those it was fetched under."""
        image = result.image
        assert image is not None
        try:
            judge_bytes(image.num_bytes, self._section)
            judge_size(image.width, image.height, self._section)
        except LinkFailed as failure:
            failure.http_status = result.http_status
            return LinkResult.failed(failure, attempts=result.attempts, ms=result.ms)
        return result
