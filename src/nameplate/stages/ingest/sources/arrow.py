"""Parquet, and Arrow's own files and streams (Feather, what `datasets` saves), batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.base import NO_BLOBS, RawRow, place
from nameplate.stages.ingest.sources.cells import as_text, looks_like_image, text_problem
from nameplate.stages.ingest.sources.places import TableFile

ROWS_PER_BATCH = 4096
IMAGES_PER_BATCH = 16
"""Images are read so few at a time that a batch of large ones stays small."""
BUFFER_BYTES = 1 << 20
_UNREADABLE = (OSError, ValueError)  # ArrowInvalid is a ValueError


class ArrowTable(ABC):
    """A file that knows its own schema."""

    kind: str

    @abstractmethod
    def schema(self, file: TableFile) -> pa.Schema:
        """Its columns with their types."""

    @abstractmethod
    def batches(self, file: TableFile, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows, only `columns`."""

    def columns(self, file: TableFile) -> tuple[str, ...]:
        """Column names.

        Raises:
            InputError: the file is not of its kind, or a name stands in it twice.
        """
        names = self._schema(file).names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(file.where, found=f"column '{repeated[0]}' stands twice", fix="rename one of them")
        return tuple(names)

    def image_columns(self, file: TableFile) -> frozenset[str]:
        """Columns of type struct<bytes, path>, and binary ones whose first value is an image."""
        schema = self._schema(file)
        images = {field.name for field in schema if _is_image_struct(field.type)}
        binary = [field.name for field in schema if _is_binary(field.type)]
        return frozenset(images | {name for name in binary if self._starts_with_image(file, name)})

    def rows(self, file: TableFile, columns: Collection[str] | None) -> Iterator[RawRow]:
        """Rows by number; where the file is damaged, one bad row says so."""
        images = self.image_columns(file)
        wanted = [name for name in self.columns(file) if columns is None or name in columns]
        size = IMAGES_PER_BATCH if images.intersection(wanted) else ROWS_PER_BATCH
        line = 0
        try:
            for batch in self.batches(file, wanted, size):
                yield from batch_rows(batch, images, line, file.label)
                line += batch.num_rows
        except _UNREADABLE as error:
            if isinstance(error, OSError) and not file.is_local:
                # Elsewhere this may be the network's fault, and a row that comes and goes is no row.
                raise
            problem = f"{place(line + 1, file.label)}: the file is damaged here, and the rest is lost ({error})"
            yield RawRow(line + 1, {}, problem=problem, file=file.label)

    def _schema(self, file: TableFile) -> pa.Schema:
        try:
            return self.schema(file)
        except _UNREADABLE as error:
            raise InputError(file.where, found=f"not {self.kind} ({error})") from None

    def _starts_with_image(self, file: TableFile, column: str) -> bool:
        for batch in self.batches(file, [column], IMAGES_PER_BATCH):
            for value in batch.column(0):
                if value.is_valid:
                    return looks_like_image(value.as_py())
        return False


class Parquet(ArrowTable):
    """A Parquet file."""

    kind = "a Parquet file"

    def schema(self, file: TableFile) -> pa.Schema:
        """From the footer."""
        with _random_access(file) as stream:
            return pq.read_schema(stream)

    def batches(self, file: TableFile, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """In pieces: a row group of images may be larger than memory."""
        with _random_access(file) as stream, pq.ParquetFile(stream, buffer_size=BUFFER_BYTES) as table:
            yield from table.iter_batches(batch_size=rows, columns=columns, use_threads=False)


class ArrowIpc(ArrowTable):
    """An Arrow file (Feather V2) or an Arrow stream."""

    kind = "an Arrow file or stream"

    def schema(self, file: TableFile) -> pa.Schema:
        """From its beginning."""
        with _random_access(file) as stream:
            return _ipc_reader(stream, None).schema

    def batches(self, file: TableFile, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """As they were written, cut into pieces of `rows`."""
        with _random_access(file) as stream:
            reader = _ipc_reader(stream, columns)
            whole = reader if isinstance(reader, pa.RecordBatchStreamReader) else _file_batches(reader)
            for batch in whole:
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows).select(columns)


@contextmanager
def _random_access(file: TableFile) -> Iterator[Any]:
    """The file for pyarrow: mapped into memory where it is local, so that what is not asked for is not read."""
    if file.is_local:
        with pa.memory_map(file.path) as mapped:
            yield mapped
    else:
        with file.open_raw() as stream:
            yield pa.PythonFile(stream, mode="r")


def _ipc_reader(stream: Any, columns: list[str] | None) -> Any:
    def opened(chosen: list[int]) -> Any:
        stream.seek(0)
        is_file = stream.read(6) == b"ARROW1"
        stream.seek(0)
        options = pa.ipc.IpcReadOptions(included_fields=chosen, use_threads=False)
        return pa.ipc.open_file(stream, options=options) if is_file else pa.ipc.open_stream(stream, options=options)

    reader = opened([])
    if not columns:
        return reader
    return opened([reader.schema.get_field_index(name) for name in columns])


def _file_batches(reader: Any) -> Iterator[pa.RecordBatch]:
    return (reader.get_batch(index) for index in range(reader.num_record_batches))


def batch_rows(batch: pa.RecordBatch, images: frozenset[str], before: int, file: str) -> Iterator[RawRow]:
    """The rows of a batch; `before` rows of the file stand above it."""
    names = batch.schema.names
    problems: dict[int, str] = {}
    texts = [_texts(batch[name], problems) for name in names]
    blobs = {name: _bytes_of(batch[name]) for name in names if name in images}
    rows = zip(*texts, strict=True) if texts else repeat((), batch.num_rows)
    for index, values in enumerate(rows):
        line = before + index + 1
        problem = f"{place(line, file)}: {problems[index]}" if index in problems else None
        own = _own_blobs(blobs, index) if blobs else NO_BLOBS
        yield RawRow(line, dict(zip(names, values, strict=True)), own, problem, file)


def _own_blobs(blobs: Mapping[str, pa.Array], index: int) -> dict[str, bytes | Path]:
    return {name: column[index].as_py() for name, column in blobs.items() if column[index].is_valid}


def _texts(column: pa.Array, problems: dict[int, str]) -> list[str]:
    """A column as text; an image as what the table calls it. Rows with unfit values are added to `problems`."""
    kind = column.type
    if _is_image_struct(kind):
        return _texts(pc.struct_field(column, "path"), problems)
    try:
        if pa.types.is_integer(kind):
            texts = pc.fill_null(column.cast(pa.string()), "").to_pylist()
        else:
            texts = [as_text(value) for value in column.to_pylist()]
    except UnicodeDecodeError:
        return [_text_or_problem(value, index, problems) for index, value in enumerate(column.cast(pa.binary()))]
    if text_problem("".join(texts)) is not None:
        problems.update({index: problem for index, text in enumerate(texts) if (problem := text_problem(text))})
    return cast("list[str]", texts)


def _text_or_problem(value: pa.Scalar, index: int, problems: dict[int, str]) -> str:
    data = value.as_py() or b""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        problems[index] = "not UTF-8"
        return cast("str", data.decode("utf-8", "replace"))
    if "\x00" in text:
        problems[index] = "holds a NUL character"
    return cast("str", text)


def _bytes_of(column: pa.Array) -> pa.Array:
    return pc.struct_field(column, "bytes") if _is_image_struct(column.type) else column


def _is_image_struct(kind: pa.DataType) -> bool:
    """The layout in which `datasets` keeps an image: its bytes, its path, or both."""
    if not pa.types.is_struct(kind) or {field.name for field in kind} != {"bytes", "path"}:
        return False
    return _is_binary(kind.field("bytes").type)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))
