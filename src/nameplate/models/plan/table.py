"""What is known of the examples before training: from the last table that a run has, or assumed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nameplate.models.picturefolder import example_folder
from nameplate.models.tiling import ImageSize
from nameplate.recipe import SplitSection, UnnamedSection
from nameplate.records import StageName
from nameplate.store.tables import StageTables

SAMPLE: Final = 2000
"""Rows of a table whose texts are counted; the others are taken to be like them."""
_LATEST_FIRST: Final[tuple[StageName, ...]] = ("split", "clean", "caption", "fetch", "ingest")
ROWS, IMAGE, WORDS = 10_000, ImageSize(1000, 1000), 80


@dataclass(frozen=True)
class Assumptions:
    """What to take where no table says it; none: this page's own."""

    rows: int | None = None
    """Examples an epoch."""
    image_size: ImageSize | None = None
    caption_words: int | None = None


@dataclass(frozen=True)
class Texts:
    """One row as far as it is known."""

    caption: str | int
    """The text, or its number of words."""
    name: str
    size: ImageSize


@dataclass(frozen=True)
class Examples:
    """What a training will learn from."""

    rows: int
    images: int
    """Different ones."""
    sample: tuple[Texts, ...]
    said: tuple[str, ...]
    """Where each of these comes from, in sentences."""


def known_examples(root: Path | None, assumed: Assumptions, split: SplitSection) -> Examples:
    """The examples of the latest table under a run directory; what it does not say is assumed, and said to be.

    What is stated by the user comes before what a table says.
    """
    stage, table = _latest(root)
    rows = _training_rows(table, stage, split) if stage is not None else ROWS
    said = [_said_of_rows(stage, root, rows, assumed)]
    sample = _sample(table if stage is not None else [], assumed)
    if stage is None or not _has(table, "caption") or assumed.caption_words is not None:
        words = assumed.caption_words or WORDS
        said.append(f"captions: {words} words each, {'as stated' if assumed.caption_words else 'assumed'}")
    if stage is None or not _has(table, "image_width") or assumed.image_size is not None:
        size = assumed.image_size or IMAGE
        stated = "as stated" if assumed.image_size else "assumed"
        said.append(f"images: {size.width} x {size.height} pixels, {stated}")
    count = assumed.rows or rows
    shas = {row["image_sha256"] for row in table if row.get("image_sha256")}
    images = round(count * len(shas) / len(table)) if shas and not assumed.rows else count
    return Examples(count, images, sample, tuple(said))


def with_unnamed(examples: Examples, section: UnnamedSection | None) -> Examples:
    """With the images without a name that are learned from, too; their texts are counted like those of the rows.

    Raises:
        InputError: the folder is not there or holds no image.
    """
    if section is None:
        return examples
    count, files = section.count(examples.rows), len(example_folder(section).paths())
    said = f"{count:,} more of images without a name ({files:,} files), counted like the others"
    return replace(examples, rows=examples.rows + count, images=examples.images + files, said=(*examples.said, said))


def _latest(root: Path | None) -> tuple[StageName | None, list[dict[str, Any]]]:
    for stage in _LATEST_FIRST if root is not None else ():
        tables = StageTables(root / stage, stage) if root is not None else None
        if tables is None or not tables.kept_paths():
            continue
        wanted = ("name", "caption", "image_width", "image_height", "image_sha256", "split")
        kept = tables.read_kept()
        rows: list[dict[str, Any]] = kept.select([name for name in wanted if name in kept.column_names]).to_pylist()
        rows = [row for row in rows if row.get("split", "train") == "train"]
        if rows:
            return stage, rows
    return None, []


def _training_rows(table: list[dict[str, Any]], stage: StageName, split: SplitSection) -> int:
    held_out = 0 if stage == "split" else split.validation + split.test
    return max(1, len(table) - held_out)


def _said_of_rows(stage: StageName | None, root: Path | None, rows: int, assumed: Assumptions) -> str:
    if assumed.rows is not None:
        return f"{assumed.rows:,} examples an epoch, as stated"
    if stage is None:
        place = f" in {root}" if root is not None else ""
        return f"{rows:,} examples an epoch, assumed: there is no table{place} yet"
    if stage == "split":
        return f"{rows:,} examples an epoch, the training rows of {root}"
    return f"{rows:,} examples an epoch: the rows that {stage} kept in {root}, less validation and test"


def _sample(table: list[dict[str, Any]], assumed: Assumptions) -> tuple[Texts, ...]:
    step = max(1, len(table) // SAMPLE)
    chosen = table[::step][:SAMPLE] or [{}]
    return tuple(_texts(row, assumed) for row in chosen)


def _texts(row: dict[str, Any], assumed: Assumptions) -> Texts:
    known = ImageSize(row["image_width"], row["image_height"]) if row.get("image_width") else IMAGE
    caption = row.get("caption") if assumed.caption_words is None else None
    return Texts(caption or assumed.caption_words or WORDS, row.get("name") or "Acme", assumed.image_size or known)


def _has(table: list[dict[str, Any]], column: str) -> bool:
    return any(row.get(column) for row in table[:SAMPLE])
