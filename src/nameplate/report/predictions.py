"""What the gallery asks of a run's answers: all of them on the splits that were held out, by image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.errors import RunDirectoryError
from nameplate.records import SplitName
from nameplate.report.reading import iter_columns, kept_paths
from nameplate.store.rundir import RunDirectory

SHOWN_SPLITS: Final[tuple[SplitName, ...]] = ("test", "validation")
COLUMNS: Final = (
    "checkpoint", "split", "row_id", "image_sha256", "name", "prompt", "answer", "verdict", "right", "finish",
)  # fmt: skip
LISTED: Final = ["row_id", "title", "category", "image_sha256", "image_ext", "caption"]


class Asked(NamedTuple):
    """One model and one question."""

    model: str
    question: str


Answers = Mapping[Asked, dict[str, Any]]
"""One image's predictions."""


def read_answers(run: RunDirectory) -> dict[SplitName, dict[str, Answers]]:
    """All answers on test and validation, by split and row id.

    Raises:
        RunDirectoryError: the predictions are not there.
    """
    path = run.folder("score") / "predictions.parquet"
    if not path.exists():
        raise RunDirectoryError(str(path), found="no predictions", fix="run `nameplate score` first")
    known = set(pq.read_schema(path).names)
    wanted = pc.field("split").isin(pa.array(SHOWN_SPLITS, pa.string()))
    table = pq.read_table(path, columns=[column for column in COLUMNS if column in known], filters=wanted)
    answers: dict[SplitName, dict[str, dict[Asked, dict[str, Any]]]] = {
        split: defaultdict(dict) for split in SHOWN_SPLITS
    }
    for row in table.to_pylist():
        answers[row["split"]][row["row_id"]][Asked(row["checkpoint"], row["prompt"])] = row
    return {split: dict(rows) for split, rows in answers.items()}


def read_listings(run: RunDirectory, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """What the table and the teacher say about rows, by row id."""
    return {row["row_id"]: row for row in iter_columns(kept_paths(run, "split"), LISTED) if row["row_id"] in wanted}
