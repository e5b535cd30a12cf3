"""`score/`: the predictions table and `scores.json`, written by scoring, read by everything after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from nameplate.errors import InputError
from nameplate.records import SplitName
from nameplate.store.files import replacing, write_text
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

PREDICTIONS = pa.schema(
    [
        pa.field("checkpoint", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("right", pa.bool_(), nullable=False),
        pa.field("strict", pa.bool_(), nullable=False),
        pa.field("mentioned", pa.bool_(), nullable=False),
        pa.field("finish", pa.string(), nullable=False),
        pa.field("confidence", pa.float32()),
        pa.field("weights", pa.string(), nullable=False),
        pa.field("engine", pa.string(), nullable=False),
    ]
)
SCORED = ("stop", "length")
"""Ways to end an answer that leave something to judge; a row that ended otherwise is in no denominator."""


@dataclass(frozen=True)
class Prediction:
    """One answer of one model to one question about one row, judged."""

    checkpoint: str
    epoch: int
    split: SplitName
    row_id: str
    image_sha256: str
    name: str
    prompt: str
    """Name of the question: short, detail or name."""
    answer: str
    verdict: str
    right: bool
    strict: bool = False
    """The whole answer is the name; see `names.is_strict`."""
    mentioned: bool = False
    """The name is claimed, whatever else is; see `names.is_mentioned`."""
    finish: str = "stop"
    """stop: the model ended its turn; length: it was cut off; anything else: there is no answer to judge."""
    confidence: float | None = None
    """Geometric mean of the probabilities of its tokens; none: not known."""
    weights: str = ""
    """Fingerprint of the model's weights."""
    engine: str = "transformers"
    """What computed the answer."""

    @property
    def scored(self) -> bool:
        """Whether there is an answer to judge."""
        return self.finish in SCORED


def write_predictions(run: RunDirectory, predictions: Sequence[Prediction]) -> None:
    """Write `score/predictions.parquet` in one step."""
    table = pa.Table.from_pylist([asdict(prediction) for prediction in predictions], schema=PREDICTIONS)
    with replacing(run.folder("score") / "predictions.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_right(run: RunDirectory, *, checkpoint: str, split: SplitName, prompt: str) -> dict[str, bool]:
    """Whether one model named each row of a split, by row id."""
    filters = [("checkpoint", "==", checkpoint), ("split", "==", split), ("prompt", "==", prompt)]
    table = pq.read_table(run.folder("score") / "predictions.parquet", filters=filters, columns=["row_id", "right"])
    return dict(zip(table["row_id"].to_pylist(), table["right"].to_pylist(), strict=True))


def write_scores(run: RunDirectory, summary: ScoreSummary) -> None:
    """Write `score/scores.json` in one step."""
    write_text(_path(run), summary.model_dump_json(indent=2) + "\n")


def read_scores(run: RunDirectory) -> ScoreSummary:
    """What scoring found out.

    Raises:
        InputError: there was none, or its file is not as written.
    """
    path = _path(run)
    try:
        return ScoreSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(str(path), found=f"cannot be read ({type(error).__name__})", fix="run score first") from None


def read_groups(run: RunDirectory) -> dict[str, str]:
    """The product of each row, by row id; rows without one are not in it."""
    table = run.tables("split").read_kept().select(["row_id", "group_id"])
    return {row["row_id"]: row["group_id"] for row in table.to_pylist() if row["group_id"]}


def _path(run: RunDirectory) -> Path:
    return run.folder("score") / "scores.json"
