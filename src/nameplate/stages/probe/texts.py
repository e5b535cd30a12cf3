"""`probe/text.parquet`: in which held-out images words can be read; the run's page parts its figures by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.records import SplitName
from nameplate.store.files import replacing
from nameplate.store.rundir import RunDirectory

HELD_OUT: Final[tuple[SplitName, ...]] = ("validation", "test")
_WORD: Final = re.compile(r"[^\W_]{2}")
TEXTS: Final = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("text_visible", pa.bool_(), nullable=False),
        pa.field("words", pa.string(), nullable=False),
    ]
)


def is_text(words: str) -> bool:
    """Whether there is a word of two letters or digits at least: a plain circle is read as "O"."""
    return _WORD.search(words) is not None


def held_out_images(run: RunDirectory) -> list[dict[str, Any]]:
    """Row id, split, hash and ending of the image of every row that no model is trained on."""
    columns = ["row_id", "split", "image_sha256", "image_ext"]
    rows: list[dict[str, Any]] = run.tables("split").read_kept().select(columns).to_pylist()
    return [row for row in rows if row["split"] in HELD_OUT and row["image_sha256"]]


def write_texts(run: RunDirectory, words: Mapping[str, str]) -> None:
    """Keep what was read, by image; rows whose image was not read are left out."""
    rows = [
        {name: row[name] for name in ("row_id", "split", "image_sha256")}
        | {"words": words[row["image_sha256"]], "text_visible": is_text(words[row["image_sha256"]])}
        for row in held_out_images(run)
        if row["image_sha256"] in words
    ]
    with replacing(_path(run)) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=TEXTS), temporary, compression="zstd")


def read_texts(run: RunDirectory) -> dict[str, bool]:
    """Whether words can be read in its image, by row id; empty where no probe looked for words, or its file is torn."""
    try:
        table = pq.read_table(_path(run), columns=["row_id", "text_visible"])
    except (OSError, pa.ArrowException):
        # The page of a run does not fail for a probe.
        return {}
    return dict(zip(table["row_id"].to_pylist(), table["text_visible"].to_pylist(), strict=True))


def _path(run: RunDirectory) -> Path:
    return run.probe_path.with_name("text.parquet")
