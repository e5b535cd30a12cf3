"""What a leak audit found: `leaks/leaks.json` and `leaks/pairs.parquet`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from nameplate.errors import InputError
from nameplate.records import SplitName
from nameplate.statistics import wilson
from nameplate.store.files import replacing, write_text
from nameplate.store.rundir import RunDirectory
from nameplate.summary.base import Figures, Outcome, Proportion

HELD_OUT: Final[tuple[SplitName, ...]] = ("validation", "test")

Level = Literal["leak", "suspicion"]
"""leak: the model was trained on this very thing; suspicion: it may have been, and a person should look."""


class LeakKind(StrEnum):
    """What a held-out row and a training row have in common."""

    IMAGE = "image"
    """The same image, byte for byte."""
    SOURCE_IMAGE = "source_image"
    """What the link or the table gave was the same, byte for byte."""
    GROUP = "group"
    """The split's own group."""
    PRODUCT_CODE = "product_code"
    """Name and product code."""
    PAGE = "page"
    """The product's page."""
    NEAR_IMAGE = "near_image"
    """Nearly the same image: a leak where the pixels agree, a suspicion where only the coarse shape does."""
    CAPTION = "caption"
    """The same caption, but for case and punctuation."""
    TITLE = "title"
    """Name and title."""
    NEAR_CAPTION = "near_caption"
    """Nearly the same caption."""


class LeakChoices(NamedTuple):
    """How an audit is done."""

    bits: int = 6
    """Perceptual hashes that differ in at most so many of 64 bits are looked at."""


class Pair(NamedTuple):
    """A held-out row, and the training row that it shares most with in one way."""

    row_id: str
    split: SplitName
    train_row: str
    kind: LeakKind
    level: Level
    matches: int
    """Training rows that it shares this with; of near ones at least so many."""
    distance: float = 0.0
    """Bits of near images, 1 - Jaccard of near captions, 0 of what is equal."""
    difference: float | None = None
    """Of near images: of the cell in which they differ most, as a share of full brightness; none: not looked at."""


PAIRS: Final = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("train_row", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("level", pa.string(), nullable=False),
        pa.field("matches", pa.int64(), nullable=False),
        pa.field("distance", pa.float64(), nullable=False),
        pa.field("difference", pa.float64()),
    ]
)


class KindFigures(Figures):
    """Held-out rows that share something with training, by split."""

    kind: LeakKind
    level: Level
    rows: dict[SplitName, int]


class Example(Figures):
    """One pair with what a person needs to judge it."""

    row_id: str
    split: SplitName
    train_row: str
    kind: LeakKind
    level: Level
    matches: int
    distance: float
    difference: float | None
    names: tuple[str, str]
    """Of the held-out row, then of the training row; so all that follows."""
    titles: tuple[str, str]
    captions: tuple[str, str]
    images: tuple[tuple[str, str], tuple[str, str]]
    """Content hash and extension; "" where there is none."""


class ScoredRows(Figures):
    """One model's answers to the headline question on test rows: all, those without a leak, and those with one."""

    model: str
    all: Proportion
    clean: Proportion
    leaked: Proportion


class WithAndWithout(Figures):
    """What the leaks did to the scores."""

    headline: str
    models: list[ScoredRows]
    """The base, then the chosen checkpoint."""
    outcome: Outcome
    """Of the chosen checkpoint against the base, on all test rows."""
    clean_outcome: Outcome
    """Without the leaked ones."""
    sentences: list[str]


class LeakSummary(Figures):
    """`leaks/leaks.json`."""

    nameplate: str
    """Version of the package."""
    split: str
    """Fingerprint of the split that was looked at."""
    bits: int
    train: int
    """Rows."""
    kinds: list[KindFigures]
    """Those that were found, leaks first."""
    leaked: dict[SplitName, Proportion]
    """Rows with a leak, of any kind."""
    suspected: dict[SplitName, Proportion]
    """Rows without a leak and with a suspicion."""
    examples: list[Example]
    notes: list[str] = Field(default_factory=list)
    """What equal values mean in this table, and what could not be looked at."""
    scored: WithAndWithout | None = None
    """None: the run is not scored."""
    sentence: str

    @property
    def exit_code(self) -> int:
        """1 where there is a leak, else 0; suspicions alone are none."""
        return int(any(share.count for share in self.leaked.values()))


def held_out(split: str) -> SplitName:
    """The held-out split of a row that is in one."""
    return "test" if split == "test" else "validation"


def proportion(count: int, n: int) -> Proportion:
    """A share with its Wilson interval."""
    share = wilson(count, n)
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def write_leaks(run: RunDirectory, summary: LeakSummary, pairs: Iterable[Pair]) -> None:
    """Write the pairs, then the figures, each in one step."""
    table = pa.Table.from_pylist([pair._asdict() | {"kind": pair.kind.value} for pair in pairs], schema=PAIRS)
    with replacing(run.leaks_path.with_name("pairs.parquet")) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    write_text(run.leaks_path, summary.model_dump_json(indent=2) + "\n")


def read_leaks(run: RunDirectory) -> LeakSummary:
    """What the last leak audit of a run found.

    Raises:
        InputError: there was none, or its file is not as written.
    """
    path = run.leaks_path
    try:
        return LeakSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(str(path), found=f"cannot be read ({type(error).__name__})", fix="run leaks first") from None
