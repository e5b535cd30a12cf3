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
    """An image that was checked and lies in the store. Width and height are those after EXIF orientation."""

    sha256: str
    ext: str
    width: int
    height: int
    num_bytes: int


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
        image = KeptImage(**value["image"]) if value["image"] is not None else None
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
            "http_status": self.http_status,
            "fetch_attempts": self.attempts,
        }


def clip(text: str) -> str:
    """One printable line of at most 300 characters: texts from strangers end up in tables, logs and pages."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_DETAIL else line[: MAX_DETAIL - 3] + "..."
