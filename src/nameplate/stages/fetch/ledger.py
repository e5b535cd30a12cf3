"""What is known of links and of the table's own images from before, so that nothing that ended is done again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from nameplate.engine import Answers
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.network.guard import Link
from nameplate.stages.fetch.network.optout import is_permitted, product_token
from nameplate.stages.fetch.network.retry import TRANSIENT_HTTP
from nameplate.stages.fetch.pixels.decode import can_read_heic
from nameplate.stages.fetch.result import KeptImage, LinkResult
from nameplate.store.fingerprint import fingerprint
from nameplate.store.images import ImageStore

LEDGER_VERSION: Final = 2
SECONDS_PER_DAY: Final = 86_400.0

ASKED_AGAIN: Final = frozenset(
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

BY_LIMITS: Final = frozenset(
    {
        FetchStatus.ADDRESS_BLOCKED,
        FetchStatus.TOO_MANY_BYTES,
        FetchStatus.TOO_MANY_PIXELS,
        FetchStatus.TOO_SMALL,
        FetchStatus.BAD_ASPECT,
        FetchStatus.DECODE_ERROR,
    }
)
"""Failures by the recipe's own limits, or by what is installed: final as long as these stay the same."""

REFUSALS: Final = frozenset({FetchStatus.OPTED_OUT, FetchStatus.ROBOTS_DISALLOWED})
"""A host's own word: final, unless its owner has permitted us since."""


class Remake(NamedTuple):
    """The file in the store is just what the link gave, kept under other settings: prepare it again from there."""

    result: LinkResult
    image: KeptImage


class Suspect(NamedTuple):
    """The link was silent in an earlier run: it must be asked, but may well be silent again."""


Known = LinkResult | Remake | Suspect


def new_run_id() -> str:
    """A name for one run of the stage, to tell this run's failures from those of earlier ones."""
    return uuid.uuid4().hex


class LinkLedger:
    """The journal of links, one entry per normalised URL, read with the eyes of one recipe section.

    Safe to be used from several threads.
    """

    def __init__(self, journal: Answers, *, images: ImageStore, section: FetchSection, run_id: str) -> None:
        self._journal = journal
        self._images = images
        self._section = section
        self._run_id = run_id
        heic = can_read_heic()
        self._limits = fingerprint(section.max_bytes, section.image, section.allow_networks, heic)
        self._form = fingerprint(section.max_bytes, section.image, heic)
        self._agent = product_token(section.user_agent)

    def recall_many(self, keys: Iterable[Link | str]) -> dict[Link | str, Known]:
        """How links, and images that came with the table, ended before; what is not in it, or a suspect, must be done.

        An image of the table, called by its SHA-256, is known under these very settings or not at all.
        """
        wanted = {_entry_key(key): key for key in keys}
        found: dict[Link | str, Known] = {}
        for name, entry in self._journal.last_many(list(wanted)).items() if wanted else ():
            key = wanted[name]
            known = self._recalled(key, entry) if entry["version"] == LEDGER_VERSION else None
            if known is not None:
                found[key] = known
        return found

    def keep_many(self, results: Iterable[tuple[Link | str, LinkResult]]) -> None:
        """Write down how links, and images that came with the table, ended.

        Raises:
            RunDirectoryError: the disk is full.
        """
        self._journal.put_many([(_entry_key(key), 0, self._new_entry(result)) for key, result in results])

    def _new_entry(self, result: LinkResult) -> dict[str, Any]:
        return {
            "version": LEDGER_VERSION,
            "run": self._run_id,
            "at": time.time(),
            "limits": self._limits,
            "form": self._form,
            "agent": self._agent,
            "referer": self._section.referer,
            "result": result.to_json(),
        }

    def _recalled(self, key: Link | str, entry: dict[str, Any]) -> Known | None:
        result = LinkResult.from_json(entry["result"])
        if isinstance(key, str):
            fits = entry["form"] == self._form and (result.image is None or self._lies_there(result.image))
            return result if fits else None
        if result.image is not None:
            return self._recalled_image(entry, result, result.image)
        if self._believes(entry, result, key):
            return result
        return Suspect() if result.status in ASKED_AGAIN and result.http_status is None else None

    def _recalled_image(
        self, entry: dict[str, Any], result: LinkResult, image: KeptImage
    ) -> LinkResult | Remake | None:
        if not self._lies_there(image):
            return None
        if entry["form"] == self._form:
            return result
        return Remake(result, image) if not image.changes else None

    def _lies_there(self, image: KeptImage) -> bool:
        """Whether the file is there, whole: images are written without waiting for the disk."""
        try:
            return self._images.path(image.sha256, image.ext).stat().st_size == image.num_bytes
        except FileNotFoundError:
            return False

    def _believes(self, entry: dict[str, Any], result: LinkResult, link: Link) -> bool:
        if result.status in REFUSALS and is_permitted(link.host, self._section.permitted_hosts):
            return False
        if result.status is FetchStatus.ROBOTS_DISALLOWED and entry["agent"] != self._agent:
            return False
        if result.status is FetchStatus.HTTP_403 and self._section.referer and not entry["referer"]:
            return False
        if result.status in BY_LIMITS and entry["limits"] != self._limits:
            return False
        if entry["run"] == self._run_id:
            return True
        if result.status in ASKED_AGAIN or result.http_status in TRANSIENT_HTTP:
            return False
        age_seconds: float = time.time() - entry["at"]
        return age_seconds < self._section.keep_failures_days * SECONDS_PER_DAY


def _entry_key(key: Link | str) -> str:
    # No link is called like a blob: links start with their scheme.
    return key.url if isinstance(key, Link) else f"blob {key}"
