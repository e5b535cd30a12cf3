"""The funnel: from listings to examples, with a reason and real examples for everything that dropped out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from nameplate.records import SPLITS, StageName
from nameplate.report.formats import clip
from nameplate.report.reading import count_values, iter_columns, kept_paths, rejected_paths
from nameplate.report.thumbnails import EXAMPLE_SIDE, Thumbnail, thumbnail
from nameplate.store.rundir import RunDirectory
from nameplate.summary import RunSummary

EXAMPLES: Final = 5
"""Examples shown for each reason."""
TEXT_LIMIT: Final = 600
"""Characters shown of any text of a row; a loop can be very long."""

STEPS: Final[dict[StageName, str]] = {
    "ingest": "with a name and an image",
    "fetch": "with a live image",
    "caption": "captioned by the teacher",
    "clean": "with a clean caption",
    "split": "in a split",
}
_CAPTION_IN_TABLE: Final = "with a caption in the table"
_COLUMNS: Final = [
    "row_id",
    "name",
    "title",
    "image_url",
    "image_sha256",
    "image_ext",
    "caption_raw",
    "reason",
    "detail",
]


@dataclass(frozen=True)
class Example:
    """One row that dropped out."""

    row_id: str
    name: str
    title: str
    detail: str
    url: str
    said: str
    """What the teacher said; empty where it was not asked."""
    picture: Thumbnail | None


@dataclass(frozen=True)
class Reason:
    """One reason code of a stage, with its rows."""

    code: str
    count: int
    share: float
    """Of the rows that came into the stage."""
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Step:
    """What is left after one stage, and what dropped out in it."""

    stage: StageName
    label: str
    count: int
    share: float
    """Of the listings in the table."""
    dropped: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Part:
    """One of train, validation and test."""

    split: str
    count: int
    share: float
    """Of the examples in a split."""


@dataclass(frozen=True)
class Funnel:
    """All listings, then what was left after each stage, then the three splits."""

    listings: int
    steps: tuple[Step, ...]
    parts: tuple[Part, ...] = field(default=())


def build_funnel(summary: RunSummary, run: RunDirectory) -> Funnel:
    """Count from the summary; examples and splits are read from the run's shards."""
    first = summary.stages.get("ingest")
    listings = first.read if first is not None else max((row.read for row in summary.stages.values()), default=0)
    steps = tuple(_step(summary, run, stage, listings) for stage in STEPS if stage in summary.stages)
    splits = count_values(kept_paths(run, "split"), "split")
    total = sum(splits.values())
    parts = tuple(Part(name, splits[name], splits[name] / total) for name in SPLITS if splits[name])
    return Funnel(listings, steps, parts)


def _step(summary: RunSummary, run: RunDirectory, stage: StageName, listings: int) -> Step:
    row = summary.stages[stage]
    examples = _examples(run, stage, row.rejected)
    reasons = tuple(
        Reason(code, number, number / max(row.read, 1), tuple(_show(run, entry) for entry in examples.get(code, ())))
        for code, number in sorted(row.rejected.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    dropped = sum(row.rejected.values())
    label = _CAPTION_IN_TABLE if stage == "caption" and summary.captions_from_table else STEPS[stage]
    return Step(stage, label, row.kept, row.kept / max(listings, 1), dropped, reasons)


def _examples(run: RunDirectory, stage: StageName, codes: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The first few rejected rows of each code; reading stops when every code has enough."""
    found: dict[str, list[dict[str, Any]]] = {code: [] for code in codes}
    for row in iter_columns(rejected_paths(run, stage), _COLUMNS):
        rows = found.setdefault(row["reason"], [])
        if len(rows) < EXAMPLES:
            rows.append(row)
        if all(len(rows) >= EXAMPLES for rows in found.values()):
            break
    return found


def _show(run: RunDirectory, row: dict[str, Any]) -> Example:
    text = {column: clip(str(row.get(column) or ""), TEXT_LIMIT) for column in _COLUMNS}
    return Example(
        row_id=text["row_id"],
        name=text["name"],
        title=text["title"],
        detail=text["detail"],
        url=text["image_url"],
        said=text["caption_raw"],
        picture=thumbnail(run.images, row.get("image_sha256"), row.get("image_ext"), side=EXAMPLE_SIDE),
    )
