"""From bytes to a kept image: judged, made plain, and put in the store. Runs in the decoding threads."""

from __future__ import annotations

import hashlib

from nameplate.errors import RunDirectoryError
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.ledger import Remake
from nameplate.stages.fetch.pixels.limits import judge_bytes
from nameplate.stages.fetch.pixels.prepare import PreparedImage, prepare_image
from nameplate.stages.fetch.result import KeptImage, LinkFailed, LinkResult
from nameplate.store.images import RAW, ImageStore


class ImageKeeper:
    """Prepares images and keeps them in `images`."""

    def __init__(self, images: ImageStore, *, section: FetchSection) -> None:
        self._images = images
        self._section = section

    def keep(self, data: bytes) -> KeptImage:
        """Keep the body of a link.

        Raises:
            LinkFailed: it is no image, or none that the recipe wants.
            RunDirectoryError: the disk is full.
        """
        image = prepare_image(data, self._section.image)
        sha256 = self._images.put(image.data, image.ext)
        return _kept(image, sha256, data, hashlib.sha256(data).hexdigest() if image.changes else sha256)

    def keep_blob(self, sha256: str) -> LinkResult:
        """Keep an image that came with the table and lies in the store as it came.

        Raises:
            RunDirectoryError: it does not lie there, or the disk is full.
        """
        data = self._read_blob(sha256)
        try:
            judge_bytes(len(data), self._section)
            image = prepare_image(data, self._section.image)
        except LinkFailed as failure:
            return LinkResult.failed(failure)
        kept = sha256 if not image.changes else self._images.put(image.data, image.ext)
        if not image.changes:
            self._images.name_again(sha256, RAW, image.ext)
        return LinkResult(FetchStatus.OK, image=_kept(image, kept, data, sha256))

    def _read_blob(self, sha256: str) -> bytes:
        try:
            data = self._images.read(sha256, RAW)
        except FileNotFoundError:
            data = None
        if data is not None and hashlib.sha256(data).hexdigest() == sha256:
            return data
        raise RunDirectoryError(
            str(self._images.path(sha256, RAW)),
            found="gone or damaged, an image that came with the table",
            fix="remove the folder of the stage `ingest` from the run directory, so that the table is read again",
        )

    def remake(self, known: Remake) -> LinkResult:
        """Prepare a kept image again, under today's settings."""
        result, image = known
        data = self._images.read(image.sha256, image.ext)
        try:
            judge_bytes(len(data), self._section)
            kept = self.keep(data)
        except LinkFailed as failure:
            failure.http_status = result.http_status
            return LinkResult.failed(failure, attempts=result.attempts, ms=result.ms)
        return LinkResult(FetchStatus.OK, "", result.http_status, kept, result.final_url, result.attempts, result.ms)


def _kept(image: PreparedImage, sha256: str, source: bytes, source_sha256: str) -> KeptImage:
    return KeptImage(
        sha256=sha256,
        ext=image.ext,
        width=image.width,
        height=image.height,
        num_bytes=len(image.data),
        phash=image.phash,
        changes=image.changes,
        source_sha256=source_sha256,
        source_width=image.source_width,
        source_height=image.source_height,
        source_bytes=len(source),
    )
