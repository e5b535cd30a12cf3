"""What held-out rows share with training, with the pairs side by side, and the scores with and without the leaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nameplate.errors import InputError
from nameplate.report.formats import clip
from nameplate.report.thumbnails import EXAMPLE_SIDE, Thumbnail, thumbnail
from nameplate.stages.leaks import LeakSummary, read_leaks
from nameplate.stages.leaks.results import HELD_OUT, Example, KindFigures, Level
from nameplate.stages.leaks.wording import LABELS, how_far
from nameplate.store.images import ImageStore
from nameplate.store.rundir import RunDirectory

SHOWN: Final = 12
LONGEST: Final = 140


@dataclass(frozen=True)
class Side:
    """One of two rows."""

    row_id: str
    split: str
    name: str
    title: str
    caption: str
    picture: Thumbnail | None


@dataclass(frozen=True)
class LeakPair:
    """A held-out row and a training row."""

    level: Level
    label: str
    far: str
    more: int
    """Further training rows that it shares this with."""
    sides: tuple[Side, Side]


@dataclass(frozen=True)
class Leaks:
    """The section."""

    found: LeakSummary
    kinds: tuple[tuple[str, KindFigures], ...]
    pairs: tuple[LeakPair, ...]
    splits: tuple[str, ...] = HELD_OUT


def build_leaks(run: RunDirectory) -> Leaks | None:
    """From the run's leak audit; none: there was none, or it looked at another split."""
    if not run.leaks_path.exists():
        return None
    try:
        found = read_leaks(run)
    except InputError:
        # A version that counted differently wrote it; the page of a run does not fail for it.
        return None
    split = run.manifest.stages.get("split")
    if split is None or split.fingerprint != found.split:
        return None
    return Leaks(
        found=found,
        kinds=tuple((LABELS[each.kind], each) for each in found.kinds),
        pairs=tuple(_pair(each, run.images) for each in found.examples[:SHOWN]),
    )


def _pair(example: Example, images: ImageStore) -> LeakPair:
    ours, theirs = (
        Side(
            row_id=row_id,
            split=split,
            name=example.names[place],
            title=clip(example.titles[place], LONGEST),
            caption=clip(example.captions[place], LONGEST),
            picture=thumbnail(images, *example.images[place], side=EXAMPLE_SIDE),
        )
        for place, (row_id, split) in enumerate(((example.row_id, example.split), (example.train_row, "train")))
    )
    return LeakPair(
        level=example.level,
        label=LABELS[example.kind],
        far=how_far(example.kind, example.distance, example.difference),
        more=example.matches - 1,
        sides=(ours, theirs),
    )
