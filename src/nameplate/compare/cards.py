"""The images of a comparison: which are shown, and what every model said of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from nameplate.compare.aligning import Aligned
from nameplate.compare.subjects import Compared
from nameplate.names import Matcher
from nameplate.report.kinds import choose
from nameplate.report.marking import Answer, Marker
from nameplate.report.thumbnails import GALLERY_SIDE, Thumbnail, thumbnail

Kind = Literal["mixed", "fixed", "regressed", "still_wrong", "right_both"]
"""mixed: the first is wrong, and the others disagree; with two models there is none."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LABELS: Final[dict[Kind, str]] = {
    "mixed": "Fixed by some",
    "fixed": "Fixed by all",
    "regressed": "Lost by one or more",
    "still_wrong": "Wrong in all",
    "right_both": "Right in all",
}
LABELS_OF_TWO: Final[dict[Kind, str]] = {
    "fixed": "Fixed",
    "regressed": "Lost",
    "still_wrong": "Wrong in both",
    "right_both": "Right in both",
}
SHOWN: Final = 120
"""Images on the page, each with a thumbnail of at most 25 kB."""


@dataclass(frozen=True)
class Said:
    """One answer, and the models that gave it."""

    labels: tuple[str, ...]
    answer: Answer


@dataclass(frozen=True)
class Card:
    """One image with every model's answer; equal answers stand once."""

    row_id: str
    kind: Kind
    label: str
    """The kind in words."""
    name: str
    title: str
    picture: Thumbnail | None
    right: str
    """Of each model in turn, 1 where it was right and 0 where it was not."""
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Tally:
    """How many images of one kind there are, and how many are shown."""

    kind: Kind
    label: str
    total: int
    shown: int


def build_cards(models: Sequence[Compared], aligned: Aligned) -> tuple[list[Card], list[Tally]]:
    """The images that are shown, kind by kind, and how many of each kind there are."""
    kinds = [kind_of([bool(rows[place]["right"]) for rows in aligned.rows]) for place in range(len(aligned.keys))]
    ids = [row_id for row_id, _ in aligned.keys]
    of_row, names = dict(zip(ids, kinds, strict=True)), dict(zip(ids, aligned.names, strict=True))
    chosen = choose(of_row, names, num_images=SHOWN, order=KINDS)
    places = {row_id: place for place, row_id in enumerate(ids)}
    listings = models[0].listings(["title", "image_ext"])
    registry = aligned.registry or models[0].registry
    marker = Marker(Matcher(registry) if registry is not None else None)
    cards = [
        _card(models, aligned, places[row_id], kinds[places[row_id]], listings.get(row_id, {}), marker)
        for row_id in chosen
    ]
    total, shown = Counter(kinds), Counter(card.kind for card in cards)
    return cards, [Tally(kind, label, total[kind], shown[kind]) for kind, label in labels_of(models).items()]


def labels_of(models: Sequence[Compared]) -> Mapping[Kind, str]:
    """The kinds that there can be, in words."""
    return LABELS_OF_TWO if len(models) == 2 else LABELS


def kind_of(right: Sequence[bool]) -> Kind:
    """What became of an image, from whether each model was right, the first one first."""
    if right[0]:
        return "right_both" if all(right) else "regressed"
    if all(right[1:]):
        return "fixed"
    return "mixed" if any(right) else "still_wrong"


def _card(
    models: Sequence[Compared], aligned: Aligned, place: int, kind: Kind, listing: Mapping[str, Any], marker: Marker
) -> Card:
    row_id, sha256 = aligned.keys[place]
    rows = [of[place] for of in aligned.rows]
    givers: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for model, row in zip(models, rows, strict=True):
        givers[row["answer"], bool(row["right"])].append(model.label)
    first = {(row["answer"], bool(row["right"])): row for row in reversed(rows)}
    return Card(
        row_id=row_id,
        kind=kind,
        label=labels_of(models)[kind],
        name=aligned.names[place],
        title=str(listing.get("title") or ""),
        picture=thumbnail(models[0].images, sha256, listing.get("image_ext"), side=GALLERY_SIDE),
        right="".join("1" if row["right"] else "0" for row in rows),
        said=tuple(Said(tuple(labels), marker.answer(first[key])) for key, labels in givers.items()),
    )
