"""The images: what hosts and names gave, what asking cost, and what was done to pictures before they were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from nameplate.records import FetchStatus, ImageChange
from nameplate.report.formats import words
from nameplate.summary import FetchSummary, HostSummary, RunSummary

SHOWN: Final = 10
"""Hosts and names shown; the tables hold the others."""

CHANGES: Final[dict[ImageChange, str]] = {
    ImageChange.FIRST_FRAME: "first frame of an animation taken",
    ImageChange.UPRIGHT: "turned upright, as its EXIF says",
    ImageChange.EIGHT_BIT: "16 bits a channel made 8",
    ImageChange.SRGB: "colours converted to sRGB",
    ImageChange.MATTED: "transparent pixels laid over the matte",
    ImageChange.DOWNSCALED: "made smaller, to the recipe's longest side",
    ImageChange.REENCODED: "written anew, as a plain JPEG or PNG",
}


@dataclass(frozen=True)
class Live:
    """A host's or name's rows with an image, of all its rows."""

    key: str
    rows: int
    live: int
    share: float
    p50_ms: int | None = None
    p95_ms: int | None = None
    reasons: str = ""


@dataclass(frozen=True)
class Changed:
    """Something that was done to images."""

    label: str
    count: int
    share: float
    """Of rows with an image."""


@dataclass(frozen=True)
class Images:
    """The fetch stage's numbers, as the page shows them."""

    figures: FetchSummary
    hosts: tuple[Live, ...]
    names: tuple[Live, ...]
    refusing: tuple[Live, ...]
    changes: tuple[Changed, ...]


def build_images(summary: RunSummary) -> Images | None:
    """From the summary; none: the run has no fetch, or one by a version that counted differently."""
    stage = summary.stages.get("fetch")
    try:
        figures = FetchSummary.model_validate(stage.details if stage is not None else None)
    except ValidationError:
        return None
    assert stage is not None
    return Images(
        figures=figures,
        hosts=tuple(map(_host, figures.hosts[:SHOWN])),
        names=tuple(Live(row.name, row.rows, row.live, row.live / row.rows) for row in figures.names[:SHOWN]),
        refusing=tuple(map(_host, figures.refusing[:SHOWN])),
        changes=tuple(
            Changed(CHANGES[ImageChange(code)], count, count / max(stage.kept, 1))
            for code, count in figures.changes.items()
        ),
    )


def _host(host: HostSummary) -> Live:
    reasons = ", ".join(f"{words(code)} ({count:,})" for code, count in host.statuses.items() if code != FetchStatus.OK)
    return Live(host.host, host.rows, host.live, host.live / host.rows, host.p50_ms, host.p95_ms, reasons)
