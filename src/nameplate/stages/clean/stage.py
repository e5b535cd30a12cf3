"""The stage: every caption gets a verdict with all its reason codes; what the teacher said is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.engine import ShardResult, ShardStage
from nameplate.names import Matcher, Registry
from nameplate.progress import Advance
from nameplate.recipe import CleanSection
from nameplate.records import NameVerdict
from nameplate.stages.clean.caption import CaptionCleaner
from nameplate.store.tables import StageTables
from nameplate.text.repair import CUT_OFF

VERSION = 1

_COLUMNS = ["name", "caption_raw", "finish_reason", "first_problem", "name_verdict", "repairs", "reasons"]
_WITHOUT_NAME = {NameVerdict.ABSENT, NameVerdict.AMBIGUOUS, NameVerdict.OTHER_NAME}
_EXCERPT = 120


class CleanStage(ShardStage):
    """Judge and mend captions.

    Args:
        section: the recipe's `clean`.
        registry: the names of the run.
    """

    name = "clean"

    def __init__(self, section: CleanSection, *, registry: Registry) -> None:
        self._matcher = Matcher(registry)
        self._cleaner = CaptionCleaner(section, matcher=self._matcher)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Keep captions fit to be taught; `caption_raw` stays as it is."""
        kept: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        for row in rows.to_pylist():
            raw = row["caption_raw"] or ""
            cleaned = self._cleaner.clean(raw, name=row["name"], finish_reason=row["finish_reason"])
            row |= {
                "caption": cleaned.text,
                "name_verdict": cleaned.verdict.value,
                "repairs": [repair.value for repair in cleaned.repairs],
                "reasons": [reason.value for reason in cleaned.reasons],
            }
            if cleaned.rejected_for is None:
                kept.append(row)
            else:
                rejected.append({**row, "reason": cleaned.rejected_for.value, "detail": _excerpt(raw)})
            advance(1)
        return self.result(kept, rejected)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """What was mended, what was found, and how the teacher's raw answers stood. Counts are of rows."""
        figures = _Figures(self._matcher)
        for row in _all_rows(tables):
            figures.add(row)
        return figures.as_details()


class _Figures:
    """Counts over kept and rejected rows."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._counts: dict[str, Counter[str]] = {
            key: Counter() for key in ("repairs", "name_verdicts", "reasons_all", "first_problems")
        }
        self._cut_off = self._named = 0

    def add(self, row: dict[str, Any]) -> None:
        self._counts["repairs"].update(row["repairs"] or [])
        self._counts["reasons_all"].update(row["reasons"] or [])
        self._counts["name_verdicts"][row["name_verdict"]] += 1
        if row["first_problem"]:
            self._counts["first_problems"][row["first_problem"]] += 1
        self._cut_off += row["finish_reason"] in CUT_OFF
        self._named += self._names_it_raw(row)

    def as_details(self) -> dict[str, Any]:
        """With the most frequent code first."""
        counts = {key: dict(counter.most_common()) for key, counter in self._counts.items()}
        return {**counts, "cut_off": self._cut_off, "name_present_before_repair": self._named}

    def _names_it_raw(self, row: dict[str, Any]) -> bool:
        # Repairs only leave text out, so a name that is there afterwards was there before.
        if row["name_verdict"] not in _WITHOUT_NAME:
            return True
        return row["name"] in self._matcher.judge(row["caption_raw"] or "", row["name"]).claimed


def _all_rows(tables: StageTables) -> Iterator[dict[str, Any]]:
    for kept_path in tables.kept_paths():
        index = int(kept_path.stem.removeprefix("part-"))
        for path in (kept_path, tables.rejected_path(index)):
            yield from pq.read_table(path, columns=_COLUMNS).to_pylist()


def _excerpt(text: str) -> str:
    """The start of a text and, because that is where loops and cuts are, its end."""
    line = " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
    if len(line) <= _EXCERPT:
        return line
    half = _EXCERPT // 2 - 3
    return f"{line[:half]} ... {line[-half:]}"
