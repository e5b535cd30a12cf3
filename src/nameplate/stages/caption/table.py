"""Captions that the table brings along: taken as they stand, with nobody asked."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import pyarrow as pa

from nameplate.engine import ShardResult, ShardStage
from nameplate.progress import Advance
from nameplate.records import CaptionReason, StageName
from nameplate.store.tables import StageTables

TABLE_VERSION = 1
FROM_TABLE: Final = "table"
"""`finish_reason` and `teacher_model` of a caption that no teacher wrote."""


class TableCaptionStage(ShardStage):
    """Makes each row's `text` its raw caption; a row without text is rejected as one that no teacher answered."""

    name: ClassVar[StageName] = "caption"
    distributes: ClassVar[bool] = True

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Take the texts of a shard."""
        kept: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        for row in rows.to_pylist():
            row |= {"caption_raw": row["text"], "teacher_attempts": 0}
            if row["text"]:
                kept.append({**row, "finish_reason": FROM_TABLE, "teacher_model": FROM_TABLE})
            else:
                detail = "the table has no text in this row"
                rejected.append({**row, "reason": CaptionReason.NO_ANSWER.value, "detail": detail})
            advance(1)
        return self.result(kept, rejected)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """The figures of a teacher that was asked nothing."""
        return {"source": FROM_TABLE, "requests": 0, "answers": 0, "simulated": False}
