"""Slices: the same accuracy by kind of image, of name and of product, and whether any of them stands out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nameplate.records import SplitName
from nameplate.report.answered import Answered
from nameplate.report.formats import count, percent
from nameplate.statistics import SIGNIFICANT, holm, p_text, slice_p, wilson
from nameplate.statistics.proportions import Share

Kind = Literal["category", "resolution", "training", "text", "images"]
TITLES: Final[Mapping[Kind, str]] = {
    "category": "Category of the product",
    "resolution": "Longer side of the image, in pixels",
    "training": "Training rows of the name",
    "text": "Text in the image, by the probe",
    "images": "Test images of the product",
}
MOST_CATEGORIES: Final = 12
"""Categories with the most test images; the others are one slice."""
TRAINING_BOUNDS: Final = (10, 30, 100, 300)
OTHERS: Final = "all others"

Parts = dict[str, list[str]]
"""Rows of each slice by its label, in the order of the page."""


@dataclass(frozen=True)
class Texts:
    """What the probe read in images, and the answers about them: it mostly looks at another split than the report."""

    answered: Answered
    split: SplitName
    has_text: Mapping[str, bool]
    """By the image's SHA-256."""


@dataclass(frozen=True)
class Slice:
    """Some of the compared rows."""

    label: str
    before: Share
    after: Share
    p_value: float
    """That the chosen model is right here as often as on all other rows; adjusted by Holm for all slices."""

    @property
    def stands_out(self) -> bool:
        """Whether chance is no good explanation."""
        return self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class SliceTable:
    """All rows, cut in one way."""

    kind: Kind
    title: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Slices:
    """The section."""

    tables: tuple[SliceTable, ...]
    sentence: str
    """Which slices stand out, or that none does."""


def build_slices(answered: Answered, texts: Texts | None = None) -> Slices | None:
    """Cut the compared rows in every way that gives two slices or more; none: there is no such way."""
    cut: dict[Kind, tuple[Answered, Parts]] = {
        "category": (answered, by_category(answered)),
        "resolution": (answered, by_resolution(answered)),
        "training": (answered, by_training(answered)),
        "images": (answered, by_images(answered)),
    }
    if texts is not None:
        cut["text"] = (texts.answered, by_text(texts))
    cut = {kind: (rows, parts) for kind, (rows, parts) in cut.items() if len(parts) > 1}
    if not cut:
        return None
    adjusted = iter(holm([p_value for rows, parts in cut.values() for p_value in _p_values(rows, parts)]))
    tables = tuple(
        SliceTable(
            kind=kind,
            title=TITLES[kind] + (f" ({texts.split} images)" if kind == "text" and texts is not None else ""),
            slices=tuple(_slice(label, own, rows, next(adjusted)) for label, own in parts.items()),
        )
        for kind, (rows, parts) in cut.items()
    )
    return Slices(tables, _in_words(tables))


def by_category(answered: Answered) -> Parts:
    """The table's categories, the fullest first; rare ones are one slice, rows without one are left out."""
    labels = {row: category for row in answered.rows if (category := answered.listing(row).category)}
    kept = [category for category, _ in Counter(labels.values()).most_common(MOST_CATEGORIES)]
    order = {category: place for place, category in enumerate(kept)}
    return _parts(
        (order.get(category, len(kept)), category if category in order else OTHERS, row)
        for row, category in labels.items()
    )


def by_resolution(answered: Answered) -> Parts:
    """Thirds of the images by their longer side; images of one size are always in one third."""
    sides = {
        row: max(each.width, each.height)
        for row in answered.rows
        if (each := answered.listing(row)).width is not None and each.height is not None
    }
    ordered = sorted(sides.values())
    bounds = [ordered[len(ordered) * third // 3] for third in (1, 2)] if ordered else []
    thirds: dict[int, list[str]] = defaultdict(list)
    for row, side in sides.items():
        thirds[sum(side >= bound for bound in bounds)].append(row)
    return {
        _span(min(sides[row] for row in rows), max(sides[row] for row in rows)): rows
        for _, rows in sorted(thirds.items())
    }


def by_training(answered: Answered) -> Parts:
    """By how many training rows the right name has."""
    found = []
    for row in answered.rows:
        rows = answered.train.get(answered.after[row].name, 0)
        place = sum(rows >= bound for bound in TRAINING_BOUNDS)
        low, high = (0, *TRAINING_BOUNDS)[place], (*TRAINING_BOUNDS, 0)[place] - 1
        found.append((place, f"{count(low)} or more" if high < 0 else _span(low, high), row))
    return _parts(found)


def by_text(texts: Texts) -> Parts:
    """By whether the probe could read words in the image; images that it did not look at are left out."""
    answered = texts.answered
    found = ((texts.has_text.get(answered.listing(row).image_sha256 or ""), row) for row in answered.rows)
    return _parts(
        (int(not known), "words can be read" if known else "no words", row) for known, row in found if known is not None
    )


def by_images(answered: Answered) -> Parts:
    """By how many compared images the row's product has."""
    groups = answered.groups(answered.rows)
    size = Counter(groups)
    labels = ("1", "2 or 3", "4 or more")
    places = [0 if size[group] == 1 else 1 if size[group] < 4 else 2 for group in groups]
    return _parts((place, labels[place], row) for place, row in zip(places, answered.rows, strict=True))


def _parts(labelled: Iterable[tuple[int, str, str]]) -> Parts:
    """From (order, label, row)."""
    parts: Parts = {}
    for _, label, row in sorted(labelled, key=lambda each: each[0]):
        parts.setdefault(label, []).append(row)
    return parts


def _span(low: int, high: int) -> str:
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def _p_values(answered: Answered, parts: Parts) -> list[float]:
    """Each slice against the rows that are in the same table's other slices."""
    rows = [row for own in parts.values() for row in own]
    right, groups = [answered.after[row].right for row in rows], answered.groups(rows)
    members = (set(own) for own in parts.values())
    return [slice_p(right, [row in own for row in rows], groups=groups) for own in members]


def _slice(label: str, rows: Sequence[str], answered: Answered, p_value: float) -> Slice:
    before, after = (sum(of[row].right for row in rows) for of in (answered.before, answered.after))
    return Slice(label, wilson(before, len(rows)), wilson(after, len(rows)), p_value)


def _in_words(tables: Sequence[SliceTable]) -> str:
    tested = [each for table in tables for each in table.slices]
    said = [
        f"{table.title.lower()}: {each.label} ({percent(each.after.value)} of {count(each.after.n)}, "
        f"{p_text(each.p_value)})"
        for table in tables
        for each in table.slices
        if each.stands_out
    ]
    if not said:
        return (
            f"None of these {len(tested)} slices differs from the rest of its table by more than chance explains "
            "(Holm over all of them); do not read the highest or the lowest as a finding."
        )
    return f"After Holm's correction for {len(tested)} slices, these differ from the rest: {'; '.join(said)}."
