"""The audit's own page: the verdict with its reasons, the figures, and captions beside what the base says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from markupsafe import Markup

from nameplate.report.formats import clip
from nameplate.report.templating import asset, environment
from nameplate.report.thumbnails import GALLERY_SIDE, Thumbnail, thumbnail
from nameplate.stages.audit.results import AuditSummary, AuditVerdict, Pair, Speaker
from nameplate.store.files import write_text
from nameplate.store.rundir import RunDirectory

SHOWN: Final = 24
"""Pairs on the page, each with a thumbnail of at most 25 kB."""
LONGEST: Final = 1200
"""Characters shown of one text."""

SPEAKERS: Final[Mapping[Speaker, str]] = {
    "caption": "the caption",
    "detail": "the base, asked in detail",
    "short": "the base, asked for one sentence",
}
WORDS: Final[Mapping[AuditVerdict, str]] = {
    AuditVerdict.WORTH_TEACHING: "Worth teaching",
    AuditVerdict.ONLY_THE_NAME: "Teach only the names",
    AuditVerdict.DO_NOT_TRAIN: "Do not train on these captions",
    AuditVerdict.INCONCLUSIVE: "Inconclusive",
}
TONES: Final[Mapping[AuditVerdict, str]] = {
    AuditVerdict.WORTH_TEACHING: "better",
    AuditVerdict.ONLY_THE_NAME: "tie",
    AuditVerdict.DO_NOT_TRAIN: "worse",
    AuditVerdict.INCONCLUSIVE: "tie",
}


@dataclass(frozen=True)
class Said:
    """One text about one image."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Card:
    """One image with all that is said of it."""

    row_id: str
    name: str
    title: str
    picture: Thumbnail | None
    texts: tuple[Said, ...]
    named: str
    is_named: bool | None
    """Whether any of the base's answers says the name; none: there is none."""


def write_audit_page(found: AuditSummary, *, run: RunDirectory) -> Path:
    """Write `audit/audit.html` in one step and return its path.

    Raises:
        RunDirectoryError: the page cannot be written.
    """
    path = run.audit_path.with_suffix(".html")
    page = (
        environment()
        .get_template("audit.html.j2")
        .render(
            style=Markup(asset("style.css")),  # our own file, not data
            written=datetime.now(UTC),
            found=found,
            figures=found.figures,
            word=WORDS[found.verdict],
            tone=TONES[found.verdict],
            speakers=SPEAKERS,
            flags=[
                flag
                for flag in found.figures.texts["caption"].flags
                if any(texts.flags[flag].count for texts in found.figures.texts.values())
            ],
            cards=[_card(pair, run) for pair in spread(found.pairs, SHOWN)],
        )
    )
    write_text(path, page)
    return path


def spread(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """At most so many of the pairs, at equal distances; they stand in the order of their names."""
    shown = min(most, len(pairs))
    return [pairs[place * len(pairs) // shown] for place in range(shown)]


def _card(pair: Pair, run: RunDirectory) -> Card:
    return Card(
        row_id=pair.row_id,
        name=pair.name,
        title=clip(pair.title, LONGEST),
        picture=thumbnail(run.images, pair.image_sha256, pair.image_ext, side=GALLERY_SIDE),
        texts=tuple(Said(label, clip(getattr(pair, speaker), LONGEST)) for speaker, label in SPEAKERS.items()),
        named=clip(pair.named, LONGEST),
        is_named=pair.base_right,
    )
