"""The page of a comparison: one HTML file with the verdicts, the models, and every kind of image beside its answers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from markupsafe import Markup

from nameplate import __version__
from nameplate.compare.advice import WORDS as BEARING_WORDS
from nameplate.compare.aligning import Aligned
from nameplate.compare.cards import build_cards
from nameplate.compare.results import Bearing, ComparedModel, ComparisonSummary, Difference, Pair
from nameplate.compare.subjects import Compared
from nameplate.errors import InputError
from nameplate.report.probe import SIDES
from nameplate.report.templating import asset, environment
from nameplate.store.files import write_text
from nameplate.summary import ComponentRow, Outcome

WORDS: Final[dict[Outcome, str]] = {"better": "Better", "worse": "Worse", "tie": "A tie"}
TONES: Final[dict[Bearing, Outcome]] = {"borne_out": "better", "contradicted": "worse"}
"""Colours of what became of an advice; all others are a tie's."""


@dataclass(frozen=True)
class Scale:
    """A line of differences from -reach to +reach, as places between 0 and 1; zero is in the middle."""

    reach: float

    def place(self, difference: float) -> float:
        """Where a difference is."""
        return min(1.0, max(0.0, 0.5 + difference / (2 * self.reach)))


@dataclass(frozen=True)
class Cell:
    """One component in the picture of what learned."""

    words: str
    share: float
    """How much of the component learns, 0 to 1."""
    kind: str
    """frozen, full, part or lora."""


@dataclass(frozen=True)
class Against:
    """One model less another, as the table of all pairs shows it."""

    difference: float
    p_holm: float
    outcome: Outcome


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
    script = asset("compare.js")
    cards, tallies = build_cards(models, aligned)
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            style=Markup(asset("style.css") + asset("sweep.css") + asset("compare.css")),  # our own files, not data
            script=Markup(script),  # our own file, not data
            script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
            written=datetime.now(UTC),
            version=__version__,
            found=found,
            verdict=_verdict(found.differences),
            tone=_tone(found.differences),
            words=WORDS,
            sides=SIDES,
            bearing=BEARING_WORDS[found.probe.test.bearing] if found.probe is not None else "",
            bearing_tone=TONES.get(found.probe.test.bearing, "tie") if found.probe is not None else "",
            cells={model.label: cells_of(model) for model in found.models},
            scale=_scale(found.differences),
            against=against(found.pairs),
            cards=cards,
            tallies=tallies,
        )
    )


def cells_of(model: ComparedModel) -> tuple[Cell, ...]:
    """What learned of a model, part by part; nothing for the base."""
    return tuple(_cell(part) for part in model.learned.parts) if model.learned is not None else ()


def _cell(part: ComponentRow) -> Cell:
    share = min(1.0, part.trainable / part.parameters) if part.parameters else 0.0
    if not part.trainable:
        return Cell("frozen", share, "frozen")
    if part.rank is not None:
        return Cell(f"LoRA {part.rank}", share, "lora")
    return Cell("full", share, "full") if share == 1 else Cell(f"{share:.0%} of it", share, "part")


def against(pairs: Sequence[Pair]) -> Mapping[tuple[str, str], Against]:
    """By (model, other model): the one less the other, either way round."""
    turned: dict[Outcome, Outcome] = {"better": "worse", "worse": "better", "tie": "tie"}
    one = {(pair.after, pair.before): Against(pair.difference, pair.p_holm, pair.outcome) for pair in pairs}
    other = {(pair.before, pair.after): Against(-pair.difference, pair.p_holm, turned[pair.outcome]) for pair in pairs}
    return one | other


def _verdict(differences: Sequence[Difference]) -> str:
    """The heading: one comparison's verdict, or how many there are of each."""
    if len(differences) == 1:
        return WORDS[differences[0].outcome]
    counts = {word: sum(each.outcome == word for each in differences) for word in ("better", "worse", "tie")}
    of_each = ", ".join(f"{count} {'tied' if word == 'tie' else word}" for word, count in counts.items() if count)
    return f"Against {differences[0].before}: {of_each}"


def _tone(differences: Sequence[Difference]) -> Outcome:
    outcomes = {each.outcome for each in differences}
    return outcomes.pop() if len(outcomes) == 1 else "tie"


def _scale(differences: Sequence[Difference]) -> Scale:
    return Scale(max(0.01, *(abs(bound) for each in differences for bound in (each.low, each.high))))
