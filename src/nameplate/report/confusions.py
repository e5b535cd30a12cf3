"""Who is taken for whom: the commonest pairs with an image of each, and names that are said too often."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nameplate.report.answered import Answered
from nameplate.report.formats import clip
from nameplate.report.thumbnails import EXAMPLE_SIDE, Thumbnail, thumbnail
from nameplate.statistics import SIGNIFICANT, holm, mcnemar_exact
from nameplate.store.images import ImageStore

SHOWN: Final = 20
"""Pairs on the page, each with two thumbnails."""
TOO_OFTEN: Final = 10
"""Names said too often on the page."""
LONGEST: Final = 200
"""Characters shown of an answer."""


@dataclass(frozen=True)
class Shot:
    """One test image with what the model said about it."""

    row_id: str
    name: str
    said: str
    picture: Thumbnail | None


@dataclass(frozen=True)
class Pair:
    """Images of one name for which another is said."""

    true: str
    said: str
    count: int
    of: int
    """Test images of the true name."""
    mistaken: Shot
    """One that was taken for the other name."""
    model: Shot | None
    """One of the name that was said, rightly named if there is any; none: the test has none."""

    @property
    def share(self) -> float:
        """Of the true name's test images."""
        return self.count / self.of


@dataclass(frozen=True)
class Excess:
    """One name's answers against its images."""

    name: str
    said: int
    """Answers that claim it first, or only."""
    true: int
    """Test images of it."""
    wrongly: int
    """Said of images of other names."""
    missed: int
    """Not said of its own."""
    p_value: float
    """Exact, two-sided, that `wrongly` and `missed` are equally likely; adjusted by Holm for all names."""

    @property
    def is_sure(self) -> bool:
        """Whether chance is no good explanation."""
        return self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Confusions:
    """The section."""

    pairs: tuple[Pair, ...]
    num_pairs: int
    """Different pairs, those left out included."""
    num_confused: int
    """Images for which another name is said."""
    num_rows: int
    too_often: tuple[Excess, ...]
    num_names: int
    """Names that have images, or are said."""


def build_confusions(answered: Answered, images: ImageStore) -> Confusions | None:
    """From the chosen model's answers; none: the names by which they were judged are gone.

    An answer that claims several wrong names counts for the first of them.
    """
    if answered.matcher is None:
        return None
    said, truth = said_names(answered), true_names(answered)
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row, name in said.items():
        if name is not None and not answered.after[row].right:
            pairs[truth[row], name].append(row)
    of = Counter(truth.values())
    ordered = sorted(pairs.items(), key=lambda item: (-len(item[1]), -len(item[1]) / of[item[0][0]], item[0]))
    return Confusions(
        pairs=tuple(_pair(key, rows, truth, answered, images) for key, rows in ordered[:SHOWN]),
        num_pairs=len(pairs),
        num_confused=sum(map(len, pairs.values())),
        num_rows=len(said),
        too_often=said_too_often(truth, said),
        num_names=len(set(truth.values()) | {name for name in said.values() if name is not None}),
    )


def true_names(answered: Answered) -> dict[str, str]:
    """The right name of each image, as the registry writes it."""
    assert answered.matcher is not None, "without names nobody knows how they are written"
    lookup = answered.matcher.registry.lookup
    names = {row: answered.after[row].name for row in answered.rows}
    return {row: entry.display if (entry := lookup(name)) is not None else name for row, name in names.items()}


def said_names(answered: Answered) -> dict[str, str | None]:
    """The registered name that the chosen model says of each image: the right one, the first wrong one, or none."""
    assert answered.matcher is not None, "without names nobody knows which was said"
    found: dict[str, str | None] = {}
    for row, name in true_names(answered).items():
        judged = answered.after[row]
        if judged.right or answered.matcher.registry.lookup(name) is None:
            found[row] = name if judged.right else None
        else:
            claimed = answered.matcher.judge(judged.answer, name).claimed
            found[row] = next((other for other in claimed if other != name), None)
    return found


def said_too_often(truth: Mapping[str, str], said: Mapping[str, str | None]) -> tuple[Excess, ...]:
    """Names with more answers than images, the largest excess first.

    Args:
        truth: the right name, by row.
        said: the name that was said, by row; None: none was.
    """
    true, spoken = Counter(truth.values()), Counter(name for name in said.values() if name is not None)
    right = Counter(name for row, name in truth.items() if said[row] == name)
    names = sorted(true.keys() | spoken.keys())
    counted = [(spoken[name] - right[name], true[name] - right[name]) for name in names]
    adjusted = holm([mcnemar_exact(wrongly, missed) for wrongly, missed in counted])
    found = [
        Excess(name, spoken[name], true[name], wrongly, missed, p_value)
        for name, (wrongly, missed), p_value in zip(names, counted, adjusted, strict=True)
        if spoken[name] > true[name]
    ]
    return tuple(sorted(found, key=lambda each: (each.true - each.said, each.name))[:TOO_OFTEN])


def _pair(
    key: tuple[str, str], rows: list[str], truth: Mapping[str, str], answered: Answered, images: ImageStore
) -> Pair:
    true, said = key
    of_said = [row for row, name in truth.items() if name == said]
    rightly = [row for row in of_said if answered.after[row].right] or of_said
    return Pair(
        true=true,
        said=said,
        count=len(rows),
        of=sum(name == true for name in truth.values()),
        mistaken=_shot(min(rows, key=_draw), answered, images),
        model=_shot(min(rightly, key=_draw), answered, images) if rightly else None,
    )


def _shot(row: str, answered: Answered, images: ImageStore) -> Shot:
    listing, judged = answered.listing(row), answered.after[row]
    picture = thumbnail(images, listing.image_sha256, listing.image_ext, side=EXAMPLE_SIDE)
    return Shot(row, judged.name, clip(judged.answer, LONGEST), picture)


def _draw(row: str) -> str:
    """A fixed rule that knows nothing of the image."""
    return hashlib.sha256(row.encode("utf-8")).hexdigest()
