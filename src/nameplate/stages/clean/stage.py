"""The stage: every caption gets a verdict with all its reason codes; what the teacher said is kept."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from nameplate.engine import Moves, ShardResult, ShardStage
from nameplate.names import Matcher, Registry
from nameplate.progress import Advance
from nameplate.recipe import CleanSection
from nameplate.records import StageName
from nameplate.stages.clean.caption import CaptionCleaner
from nameplate.stages.clean.figures import summarise
from nameplate.stages.clean.shared import find_shared_texts
from nameplate.store.tables import StageTables

VERSION = 3
PAIRS_VERSION = 1
"""Of what becomes of pairs of questions and answers, which most runs have none of."""

_EXCERPT = 120


class CleanStage(ShardStage):
    """Judge and mend captions.

    Args:
        section: the recipe's `clean`.
        registry: the names of the run.
        prompt: the recipe's question to the teacher; "" when the captions came with the table.
    """

    name: ClassVar[StageName] = "clean"
    distributes: ClassVar[bool] = True

    def __init__(self, section: CleanSection, *, registry: Registry, prompt: str = "") -> None:
        self._section = section
        self._matcher = Matcher(registry)
        self._cleaner = CaptionCleaner(section, matcher=self._matcher, prompt=prompt)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Keep captions fit to be taught; `caption_raw` stays as it is."""
        kept: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        for row in rows.to_pylist():
            raw = row["caption_raw"] or ""
            cleaned = self._cleaner.clean(raw, name=row["name"], finish_reason=row["finish_reason"])
            row |= {
                "caption": cleaned.text,
                "name_verdict": cleaned.verdict.value if cleaned.verdict is not None else None,
                "repairs": [change.repair.value for change in cleaned.changes],
                "reasons": [reason.value for reason in cleaned.reasons],
                "changes": [change._asdict() for change in cleaned.changes],
            }
            if row["qa_pairs"]:
                row["qa_pairs"] = self._cleaner.clean_pairs(row["qa_pairs"], name=row["name"])
            if cleaned.rejected_for is None:
                kept.append(row)
            else:
                rejected.append({**row, "reason": cleaned.rejected_for.value, "detail": _excerpt(raw)})
            advance(1)
        return self.result(kept, rejected)

    def second_look(self, tables: StageTables) -> Moves:
        """Reject captions that many products share."""
        return find_shared_texts(tables, shared_by=self._section.shared_by)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """What was mended, what was found, and how the teacher's raw answers stood. Counts are of rows."""
        return {**summarise(tables, self._matcher), "matcher": self._matcher.fingerprint}


def _excerpt(text: str) -> str:
    """The start of a text and, because that is where loops and cuts are, its end."""
    line = " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
    if len(line) <= _EXCERPT:
        return line
    half = _EXCERPT // 2 - 3
    return f"{line[:half]} ... {line[-half:]}"
