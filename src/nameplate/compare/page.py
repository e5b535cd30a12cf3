"""The page of a comparison: one HTML file with the verdicts, the models, and every kind of image beside its answers."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from nameplate import __version__
from nameplate.compare.aligning import Aligned, Row
from nameplate.compare.results import ComparisonSummary, Difference
from nameplate.compare.subjects import Compared
from nameplate.errors import InputError
from nameplate.report.formats import clip, words
from nameplate.report.gallery import KINDS, Answer, Kind, Tally, choose, mark_name
from nameplate.report.templating import asset, environment
from nameplate.report.thumbnails import GALLERY_SIDE, Thumbnail, thumbnail
from nameplate.store.files import write_text
from nameplate.summary import Outcome

SHOWN: Final = 120
"""Images on the page, each with a thumbnail of at most 25 kB."""
LONGEST: Final = 900

WORDS: Final[dict[Outcome, str]] = {"better": "Better", "worse": "Worse", "tie": "A tie"}
LABELS: Final[dict[Kind, str]] = {
    "fixed": "Fixed by one or more",
    "regressed": "Lost by one or more",
    "still_wrong": "Wrong in all",
    "right_both": "Right in all",
}


@dataclass(frozen=True)
class Said:
    """What one model said."""

    label: str
    answer: Answer


@dataclass(frozen=True)
class Card:
    """One image with every model's answer."""

    row_id: str
    kind: Kind
    label: str
    name: str
    title: str
    picture: Thumbnail | None
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Scale:
    """A line of differences from -reach to +reach, as places between 0 and 1; zero is in the middle."""

    reach: float

    def place(self, difference: float) -> float:
        """Where a difference is."""
        return min(1.0, max(0.0, 0.5 + difference / (2 * self.reach)))


def write_comparison_page(
    found: ComparisonSummary, *, models: Sequence[Compared], aligned: Aligned, path: Path
) -> Path:
    """Write the page of a comparison in one step and return its path.

    Args:
        found: the comparison.
        models: that were compared; pictures are read from the first one's run.
        aligned: their answers.
        path: the file to write.

    Raises:
        InputError: the path is no file for a page.
        RunDirectoryError: it cannot be written.
    """
    check_page(path)
    write_text(path, render_comparison(found, models=models, aligned=aligned))
    return path


def check_page(path: Path) -> None:
    """Refuse what is no name for a page, before anything is computed.

    Raises:
        InputError: it has another ending, or is a folder.
    """
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise InputError(str(path), found="is no name for a page", expected="a file that ends in .html")


def render_comparison(found: ComparisonSummary, *, models: Sequence[Compared], aligned: Aligned) -> str:
    """The page as text."""
    script = asset("script.js")
    cards, tallies = _cards(models, aligned)
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            style=Markup(asset("style.css")),  # our own file, not data
            script=Markup(script),  # our own file, not data
            script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
            written=datetime.now(UTC),
            version=__version__,
            found=found,
            verdict=_verdict(found.differences),
            tone=found.differences[0].outcome if len(found.differences) == 1 else "tie",
            words=WORDS,
            scale=_scale(found.differences),
            cards=cards,
            tallies=tallies,
        )
    )


def _verdict(differences: Sequence[Difference]) -> str:
    """The heading: one comparison's verdict, or how many there are of each."""
    if len(differences) == 1:
        return WORDS[differences[0].outcome]
    counts = {word: sum(each.outcome == word for each in differences) for word in ("better", "worse", "tie")}
    of_each = ", ".join(f"{count} {'tied' if word == 'tie' else word}" for word, count in counts.items() if count)
    return f"Against {differences[0].before}: {of_each}"


def _scale(differences: Sequence[Difference]) -> Scale:
    return Scale(max(0.01, *(abs(bound) for each in differences for bound in (each.low, each.high))))


def _cards(models: Sequence[Compared], aligned: Aligned) -> tuple[list[Card], list[Tally]]:
    places = {row_id: place for place, (row_id, _) in enumerate(aligned.keys)}
    kinds = {row_id: _kind([bool(rows[place]["right"]) for rows in aligned.rows]) for row_id, place in places.items()}
    names = {row_id: aligned.names[place] for row_id, place in places.items()}
    chosen = choose(kinds, names, num_images=SHOWN)
    listings = models[0].listings(["title", "image_ext"])
    cards = [_card(models, aligned, places[row_id], kinds[row_id], listings.get(row_id, {})) for row_id in chosen]
    shown = Counter(card.kind for card in cards)
    tallies = [
        Tally(kind, LABELS[kind], total, shown[kind])
        for kind, total in ((kind, sum(of == kind for of in kinds.values())) for kind in KINDS)
    ]
    return cards, tallies


def _card(models: Sequence[Compared], aligned: Aligned, place: int, kind: Kind, listing: dict[str, Any]) -> Card:
    row_id, sha256 = aligned.keys[place]
    name = aligned.names[place]
    return Card(
        row_id=row_id,
        kind=kind,
        label=LABELS[kind],
        name=name,
        title=str(listing.get("title") or ""),
        picture=thumbnail(models[0].images, sha256, listing.get("image_ext"), side=GALLERY_SIDE),
        said=tuple(
            Said(model.label, _answer(rows[place], name)) for model, rows in zip(models, aligned.rows, strict=True)
        ),
    )


def _answer(row: Row, name: str) -> Answer:
    return Answer(mark_name(clip(str(row["answer"]), LONGEST), name), bool(row["right"]), words(str(row["verdict"])))


def _kind(right: Sequence[bool]) -> Kind:
    if right[0]:
        return "right_both" if all(right) else "regressed"
    return "fixed" if any(right) else "still_wrong"
