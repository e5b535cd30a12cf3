"""How one link ended, and the failure that ends it early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nameplate.records import FetchStatus

MAX_DETAIL = 300


class LinkFailed(Exception):
    """A link cannot give an image, at least not now.

    Args:
        status: the code that the table will show.
        detail: the cause, for a person.
        http_status: what the server answered, if it did.
        transient: whether asking again may help; `retry.py` decides how often.
        retry_after_seconds: the rest that the server asked for.
    """

    def __init__(
        self,
        status: FetchStatus,
        detail: str,
        *,
        http_status: int | None = None,
        transient: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = clip(detail)
        self.http_status = http_status
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class KeptImage:
    """An image that was checked, made plain and put in the store, and the `source_` that the link or table gave.

    `changes` are `records.ImageChange` codes; without any, the file is the source's own bytes. Both sizes are upright.
    """

    sha256: str
    ext: str
    width: int
    height: int
    num_bytes: int
    phash: str
    changes: tuple[str, ...]
    source_sha256: str
    source_width: int
    source_height: int
    source_bytes: int


@dataclass(frozen=True)
class LinkResult:
    """How one link ended. `ms` is time spent on requests and decoding, without waiting for a turn or before a retry."""

    status: FetchStatus
    detail: str = ""
    http_status: int | None = None
    image: KeptImage | None = None
    final_url: str | None = None
    attempts: int = 0
    ms: int = 0

    @classmethod
    def failed(cls, failure: LinkFailed, *, attempts: int = 0, ms: int = 0) -> LinkResult:
        """The result of a link that ended in a failure."""
        return cls(failure.status, failure.detail, failure.http_status, attempts=attempts, ms=ms)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LinkResult:
        """The result that `to_json` wrote."""
        image = value["image"]
        if image is not None:
            image = KeptImage(**{**image, "changes": tuple(image["changes"])})
        return cls(**{**value, "status": FetchStatus(value["status"]), "image": image})

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    def columns(self) -> dict[str, Any]:
        """The columns of `records.IMAGE_FIELDS`."""
        image = self.image
        return {
            "image_status": str(self.status),
            "image_sha256": image.sha256 if image else None,
            "image_ext": image.ext if image else None,
            "image_width": image.width if image else None,
            "image_height": image.height if image else None,
            "image_bytes": image.num_bytes if image else None,
            "image_changes": list(image.changes) if image else None,
            "image_source_sha256": image.source_sha256 if image else None,
            "image_source_width": image.source_width if image else None,
            "image_source_height": image.source_height if image else None,
            "image_phash": image.phash if image else None,
            "http_status": self.http_status,
            "fetch_attempts": self.attempts,
        }


def clip(text: str) -> str:
    """One printable line of at most 300 characters: texts from strangers end up in tables, logs and pages."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_DETAIL else line[: MAX_DETAIL - 3] + "..."
