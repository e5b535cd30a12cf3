"""From a file to what the model reads, by the way that fetched images take. Runs in the decoding threads."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nameplate.errors import InputError
from nameplate.models.imagebatch import PreparedImage
from nameplate.models.processing import Processor
from nameplate.predict.inputs import Input
from nameplate.recipe import FetchSection
from nameplate.records import FetchStatus, IngestReason
from nameplate.stages.fetch.pixels.limits import judge_bytes
from nameplate.stages.fetch.pixels.prepare import prepare_image
from nameplate.stages.fetch.result import LinkFailed, clip


class Looked(NamedTuple):
    """What became of one input: an answer from before, an image to ask about, or a reason."""

    path: str
    key: str = ""
    """Of the image and everything else that the answer depends on."""
    kept: Mapping[str, Any] | None = None
    """What the journal has under the key."""
    image: PreparedImage | None = None
    reason: str = ""
    detail: str = ""


class _NoImage(Exception):
    def __init__(self, reason: IngestReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Looker:
    """Reads images, and decodes those that no answer is known for. Call `look` within `strict_pillow`.

    Args:
        section: limits on bytes and pixels.
        processor: of the model.
        key_of: SHA-256 of a file -> key of its answer.
        kept: key -> what the journal has.
    """

    def __init__(
        self,
        section: FetchSection,
        *,
        processor: Processor,
        key_of: Callable[[str], str],
        kept: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        self._section = section
        self._processor = processor
        self._key_of = key_of
        self._kept = kept

    def look(self, given: Input) -> Looked:
        """Never fails for an image's sake."""
        if given.image is None:
            return Looked(given.path, reason=str(given.reason), detail=clip(given.detail))
        try:
            data = self._read(given.image)
            key = self._key_of(hashlib.sha256(data).hexdigest())
            kept = self._kept(key)
            if kept is not None:
                return Looked(given.path, key, kept)
            plain = prepare_image(data, self._section.image)
            return Looked(given.path, key, image=self._processor.prepare(plain.data))
        except LinkFailed as failure:
            return Looked(given.path, reason=failure.status.value, detail=failure.detail)
        except InputError as error:
            return Looked(given.path, reason=FetchStatus.DECODE_ERROR.value, detail=clip(error.found))
        except _NoImage as error:
            return Looked(given.path, reason=error.reason.value, detail=clip(error.detail))

    def _read(self, image: Path | bytes) -> bytes:
        if isinstance(image, bytes):
            judge_bytes(len(image), self._section)
            return image
        try:
            state = image.stat()
            # Looked at before it is opened: a pipe of the same name would wait for ever.
            if not stat.S_ISREG(state.st_mode):
                raise _NoImage(IngestReason.FILE_BLOCKED, "no ordinary file")
            judge_bytes(state.st_size, self._section)
            return image.read_bytes()
        except (OSError, ValueError) as error:
            raise _NoImage(IngestReason.MISSING_FILE, f"cannot be read ({type(error).__name__})") from None
