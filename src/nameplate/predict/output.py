"""Rows into a file, as they come: CSV, JSON Lines or Parquet, by its ending; the file appears when it is whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.errors import InputError
from nameplate.predict.results import PREDICTED, Predicted
from nameplate.store.files import replacing

Write = Callable[[Sequence[Predicted]], None]


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written, before a model is loaded.

    Raises:
        InputError: another ending, or a file that is there and not from here: only ours have a journal beside them.
    """
    if path.suffix.lower() not in _WRITERS:
        raise InputError(str(path), found=f"ending '{path.suffix}'", expected="one of " + ", ".join(_WRITERS))
    if path.is_dir() or (path.exists() and not journal_of(path).exists()):
        raise InputError(str(path), found="there is something already", fix="give --out another name, or remove it")


def journal_of(path: Path) -> Path:
    """Where the answers for an output are kept as they come."""
    return path.with_name(f"{path.name}.answers.sqlite")


@contextmanager
def opened_output(path: Path) -> Iterator[Write]:
    """What takes rows for `path`; the file takes its place when the block ends well.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary, _WRITERS[path.suffix.lower()](temporary) as write:
        yield write


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, PREDICTED.names, lineterminator="\n")
        writer.writeheader()
        yield lambda rows: writer.writerows(map(asdict, rows))


@contextmanager
def _json_lines(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as stream:
        yield lambda rows: stream.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    with pq.ParquetWriter(path, PREDICTED, compression="zstd") as writer:
        yield lambda rows: writer.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=PREDICTED))


_WRITERS: Final = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
