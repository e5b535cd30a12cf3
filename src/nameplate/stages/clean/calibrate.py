"""What each rule does on the user's own captions, and what moving its threshold one step would do. Reads only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.names import Matcher, Registry
from nameplate.progress import Advance
from nameplate.recipe import CleanSection
from nameplate.records import CleanReason, Repair
from nameplate.stages.clean import shared
from nameplate.stages.clean.caption import CaptionCleaner
from nameplate.statistics import Share, wilson
from nameplate.store.tables import StageTables
from nameplate.text.dials import DIALS, Dial, fires, limit_of, moved
from nameplate.text.places import Place, find_place
from nameplate.text.words import count_words

MAX_EXAMPLES: Final = 3
"""Examples of each rule, repair and move: the same ones however the table is cut into shards."""

One = TypeVar("One", "Example", "Mended")

_COLUMNS: Final = ["row_id", "name", "caption_raw", "finish_reason", "image_phash", "image_sha256", "product_code"]


@dataclass(frozen=True)
class Example:
    """A caption, and what of it made a rule fire, if that is one place."""

    row_id: str
    text: str
    place: Place | None = None


@dataclass
class Move:
    """One step of a threshold: the rows that its rule would then flag besides, or free.

    `turned`: of these, rows whose fate the step decides, because no other rule rejects them.
    """

    limit: float
    flagged: int = 0
    freed: int = 0
    turned: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass
class RuleReport:
    """One rule: the rows that it flags, and those that are rejected for nothing else; its threshold, if it has one."""

    reason: CleanReason
    flagged: int = 0
    alone: int = 0
    examples: list[Example] = field(default_factory=list)
    setting: str | None = None
    limit: float | None = None
    moves: list[Move] = field(default_factory=list)


@dataclass(frozen=True)
class Mended:
    """A row that a repair changes: the place before and after."""

    row_id: str
    before: str
    after: str


@dataclass
class RepairReport:
    """One repair, and the rows that it mends."""

    repair: Repair
    mended: int = 0
    examples: list[Mended] = field(default_factory=list)


@dataclass(frozen=True)
class Calibration:
    """Everything of one look at a table of captions. `words`: 1st, 50th and 99th percentile of the kept captions."""

    rows: int
    kept: Share
    words: tuple[int, int, int]
    rules: list[RuleReport]
    repairs: list[RepairReport]


def calibrate(
    tables: StageTables, *, section: CleanSection, registry: Registry, prompt: str, advance: Advance
) -> Calibration:
    """Judge every caption of the caption stage, as cleaning would and with each threshold one step away."""
    look = _Look(section, cleaner=CaptionCleaner(section, matcher=Matcher(registry), prompt=prompt))
    for row in _rows(tables):
        look.add(row)
        advance(1)
    look.add_shared_texts()
    return look.result()


class _Look:
    """Collects what is found, row by row; texts are kept only of rows that stay, for the question who shares one."""

    def __init__(self, section: CleanSection, *, cleaner: CaptionCleaner) -> None:
        self._section = section
        self._cleaner = cleaner
        self._rules = {reason: RuleReport(reason) for reason in CleanReason}
        self._repairs = {repair: RepairReport(repair) for repair in Repair}
        self._kept: list[dict[str, Any]] = []
        self._rows = 0
        self._steps: list[tuple[Dial, CleanSection, Move]] = []
        for dial in DIALS:
            report = self._rules[dial.reason]
            report.setting, report.limit = dial.field, limit_of(dial, section)
            for steps in (-1, 1):
                self._add_step(dial, steps, report)

    def add(self, row: dict[str, Any]) -> None:
        """Judge one row."""
        self._rows += 1
        cleaned = self._cleaner.clean(row["caption_raw"] or "", name=row["name"], finish_reason=row["finish_reason"])
        hard = self._cleaner.hard(cleaned.reasons)
        example = Example(row["row_id"], cleaned.examined.reading.text)
        for reason in cleaned.reasons:
            self._count(self._rules[reason], example, alone=hard == [reason])
        for change in cleaned.changes:
            report = self._repairs[change.repair]
            report.mended += 1
            _keep(report.examples, Mended(row["row_id"], change.before, change.after))
        if not hard:
            self._kept.append({column: row.get(column) for column in shared.COLUMNS} | {"caption": cleaned.text})
        for dial, section, move in self._steps:
            now = fires(dial, self._section, cleaned.examined)
            then = fires(dial, section, cleaned.examined)
            if now != then:
                self._move(move, dial.reason, example, now=now, turned=hard == ([dial.reason] if now else []))

    def add_shared_texts(self) -> None:
        """The one rule that needs all rows: those that no other rule rejects."""
        report = self._rules[CleanReason.SHARED_TEXT]
        if report.limit is None:
            return
        limit = int(report.limit)
        table = pa.Table.from_pylist(self._kept, schema=pa.schema([(column, pa.string()) for column in shared.COLUMNS]))
        counts = shared.count_shared_texts(table, least=max(2, limit - 1))
        texts = {row["row_id"]: row["caption"] for row in self._kept}
        for row_id, found in counts.items():
            number, example = min(found), Example(row_id, texts[row_id])
            if number >= limit:
                self._count(report, example, alone=True)
            for move in report.moves:
                if (number >= limit) != (number >= move.limit):
                    self._move(move, report.reason, example, now=number >= limit, turned=True)
        rejected = {row_id for row_id, found in counts.items() if min(found) >= limit}
        self._kept = [row for row in self._kept if row["row_id"] not in rejected]

    def result(self) -> Calibration:
        """What was found."""
        words = [count_words(row["caption"]) for row in self._kept] or [0]
        low, middle, high = (int(value) for value in np.percentile(words, [1, 50, 99]))
        return Calibration(
            rows=self._rows,
            kept=wilson(len(self._kept), self._rows),
            words=(low, middle, high),
            rules=list(self._rules.values()),
            repairs=list(self._repairs.values()),
        )

    def _add_step(self, dial: Dial, steps: int, report: RuleReport) -> None:
        section = moved(dial, self._section, steps)
        if section is None:
            return
        move = Move(limit=limit_of(dial, section) or 0)
        report.moves.append(move)
        if dial.reason is not CleanReason.SHARED_TEXT:
            self._steps.append((dial, section, move))

    def _count(self, report: RuleReport, example: Example, *, alone: bool) -> None:
        report.flagged += 1
        report.alone += alone
        _keep(report.examples, _with_place(example, report.reason))

    def _move(self, move: Move, reason: CleanReason, example: Example, *, now: bool, turned: bool) -> None:
        move.freed += now
        move.flagged += not now
        move.turned += turned
        _keep(move.examples, _with_place(example, reason))


def _with_place(example: Example, reason: CleanReason) -> Example:
    return replace(example, place=find_place(reason, example.text))


def _keep(examples: list[One], new: One) -> None:
    """Keep a few, drawn by the hash of their rows, so that they are not all from the beginning of the table."""
    if len(examples) == MAX_EXAMPLES and _draw(new.row_id) >= _draw(examples[-1].row_id):
        return
    examples.append(new)
    examples.sort(key=lambda example: _draw(example.row_id))
    del examples[MAX_EXAMPLES:]


def _draw(row_id: str) -> str:
    return hashlib.sha256(row_id.encode()).hexdigest()


def _rows(tables: StageTables) -> Iterator[dict[str, Any]]:
    for path in tables.kept_paths():
        yield from pq.read_table(path, columns=_COLUMNS).to_pylist()
