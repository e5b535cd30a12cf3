"""Hugging Face data sets, streamed by `datasets`: hf://datasets/OWNER/NAME[@REVISION][?config=C&split=S]."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.arrow import BUFFER_BYTES, IMAGES_PER_BATCH, ROWS_PER_BATCH, batch_rows
from nameplate.stages.ingest.sources.base import MAX_IMAGE_BYTES, RawRow, Source
from nameplate.stages.ingest.sources.cells import IMAGE_ENDINGS
from nameplate.stages.ingest.sources.tars import IMAGE, KEY
from nameplate.store.fingerprint import fingerprint

if TYPE_CHECKING:
    from datasets import IterableDataset

_ADDRESS = re.compile(r"hf://datasets/(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/?]+))?/?(?:\?(?P<query>.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TAR = "__url__"
_ARCHIVES = ("zip://", "tar://", "gzip://")
_TIMEOUT_SECONDS = 30.0
_MAX_ERROR_CHARS = 300
_EXPECTED = "hf://datasets/OWNER/NAME[@REVISION][?config=CONFIG&split=SPLIT]"


def is_data_set(source: str) -> bool:
    """Whether an address names a whole data set; one with a path behind the name is a file like any other."""
    return _ADDRESS.fullmatch(source) is not None


def say_nothing_home() -> None:
    """No telemetry, whatever is imported later."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


class _Field(NamedTuple):
    """Where a column of ours stands in the data set."""

    column: str
    feature: Any
    key: str | None = None
    """In an object of this column."""

    def of(self, table: pa.Table) -> pa.ChunkedArray:
        """Its values; class labels as the words that they stand for."""
        from datasets import ClassLabel

        values = table.column(self.column)
        if self.key is not None:
            values = pc.struct_field(values, self.key)
        if isinstance(self.feature, ClassLabel):
            words = [None if number is None else self.feature.int2str(number) for number in values.to_pylist()]
            return pa.chunked_array([pa.array(words, pa.string())])
        return values


def _tar_fields(features: Mapping[str, Any]) -> dict[str, _Field]:
    """As `WebDataset` would name them: `image` whatever its ending, and the keys of the .json by themselves."""
    fields: dict[str, _Field] = {}
    for name, feature in features.items():
        if name == "json" and isinstance(feature, dict):
            for key, inner in feature.items():
                fields[key if key not in features else f"json.{key}"] = _Field(name, inner, key)
        elif f".{name.rpartition('.')[2]}" in IMAGE_ENDINGS:
            fields.setdefault(IMAGE, _Field(name, feature))
        elif name != _TAR:
            fields[name] = _Field(name, feature)
    return fields


class HubSource(Source):
    """One split of a data set on the Hub, opened when asked: a finished run of a pinned revision needs no network.

    No code of the data set is run: `datasets` has no way to any more.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        match = _ADDRESS.fullmatch(name)
        assert match is not None
        query = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
        unknown = sorted(set(query) - {"config", "split"})
        if unknown:
            raise InputError(name, found=f"unknown word '{unknown[0]}'", expected=_EXPECTED)
        self._id = match["id"]
        self._asked_revision = match["revision"]
        self._config = query.get("config")
        self._split = query.get("split", "train")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the split; those of a split of tars are called as `WebDataset` calls them."""
        return tuple(self._fields)

    @cached_property
    def image_columns(self) -> frozenset[str]:
        """Columns of the feature type Image."""
        from datasets import Image

        return frozenset(name for name, field in self._fields.items() if isinstance(field.feature, Image))

    def rows(self, *, limit: int | None = None, columns: Collection[str] | None = None) -> Iterator[RawRow]:
        """Streamed; only the wanted columns of a Parquet data set cross the network."""
        return islice(self._rows([name for name in self.columns if columns is None or name in columns]), limit)

    def fingerprint(self) -> str:
        """Of the commit, the config and the split."""
        return fingerprint(self._revision, self._config, self._split)

    @cached_property
    def _revision(self) -> str:
        """The commit that the asked revision is now; all is read from it, so that a push changes nothing half-way."""
        if self._asked_revision is not None and _COMMIT.fullmatch(self._asked_revision):
            return self._asked_revision
        with self._explaining():
            from huggingface_hub import HfApi

            commit = HfApi().dataset_info(self._id, revision=self._asked_revision, timeout=_TIMEOUT_SECONDS).sha
        assert commit is not None
        return commit

    def _stream(self, **settings: Any) -> IterableDataset:
        """The split; `settings` are the builder's own."""
        if Path(self._id).exists():
            fix = "run from another folder"
            raise InputError(self.name, found=f"a folder '{self._id}' lies here and hides the data set", fix=fix)
        with self._explaining():
            import datasets
            import huggingface_hub

            datasets.disable_progress_bars()
            huggingface_hub.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the package leaves it untyped
            stream = datasets.load_dataset(
                self._id, self._config, split=self._split, revision=self._revision, streaming=True, **settings
            )
            # Pixels are decoded by `fetch`, with its limits; here they stay the bytes that they are.
            return stream.decode(False) if stream.features is not None else stream

    @cached_property
    def _is_parquet(self) -> bool:
        with self._explaining():
            from datasets import load_dataset_builder
            from datasets.packaged_modules.parquet.parquet import Parquet

            return isinstance(load_dataset_builder(self._id, self._config, revision=self._revision), Parquet)

    @cached_property
    def _fields(self) -> dict[str, _Field]:
        stream = self._stream()
        features = stream.features
        if features is None:
            with self._explaining():
                first = next(iter(stream), None)
            if first is None:
                raise InputError(self.name, found="the split is empty", expected="at least one row")
            features = dict.fromkeys(first)
        if {KEY, _TAR} <= set(features):
            return _tar_fields(features)
        return {name: _Field(name, feature) for name, feature in features.items()}

    def _rows(self, wanted: list[str]) -> Iterator[RawRow]:
        images = self.image_columns.intersection(wanted)
        fields = {name: self._fields[name] for name in wanted or self.columns[:1]}
        inner = list(dict.fromkeys(field.column for field in fields.values()))
        size, line = IMAGES_PER_BATCH if images else ROWS_PER_BATCH, 0
        settings = _parquet_settings(inner, size) if self._is_parquet else {}
        stream = self._stream(**settings).select_columns(inner)
        with self._explaining():
            for table in stream.with_format("arrow").iter(size):
                columns = {name: field.of(table) for name, field in fields.items() if name in wanted}
                batch = pa.table(columns).combine_chunks().to_batches() if wanted else table.select([]).to_batches()
                for row in batch_rows(batch[0], images, line, ""):
                    line += 1
                    yield self._with_bytes(row, images) if images else row

    def _with_bytes(self, row: RawRow, images: frozenset[str]) -> RawRow:
        """Images that are files of the data set, not bytes in a table, are read from there and from nowhere else."""
        cells, blobs = dict(row.cells), dict(row.blobs)
        for name in images - blobs.keys():
            path = cells[name]
            cells[name] = path.removeprefix(self._root)
            if self._is_own(path):
                with fsspec.open(path, "rb") as stream:
                    data = stream.read(MAX_IMAGE_BYTES + 1)
                if len(data) > MAX_IMAGE_BYTES:
                    return RawRow(row.line, cells, problem=f"{row.place}: '{cells[name]}' is too large for an image")
                blobs[name] = data
        return row._replace(cells=cells, blobs=blobs)

    @property
    def _root(self) -> str:
        return f"hf://datasets/{self._id}@{self._revision}/"

    def _is_own(self, path: str) -> bool:
        outer, _, inner = path.rpartition("::")
        layers = outer.split("::") if outer else []
        return inner.startswith(self._root) and all(layer.startswith(_ARCHIVES) for layer in layers)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """The many ways in which a data set is not there, each as one clear paragraph."""
        say_nothing_home()
        from datasets.exceptions import DatasetNotFoundError, DatasetsError
        from huggingface_hub import errors
        from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # lent on purpose: it is renamed at times

        try:
            yield
        except (errors.OfflineModeIsEnabled, ConnectionError, httpx.TransportError) as error:
            fix = "check the network and HF_HUB_OFFLINE, then run the same command again"
            raise InputError(self.name, found=f"the Hub cannot be reached ({_in_one_line(error)})", fix=fix) from None
        except errors.RevisionNotFoundError:
            raise InputError(self.name, found=f"no revision '{self._asked_revision}'", expected=_EXPECTED) from None
        except (errors.RepositoryNotFoundError, DatasetNotFoundError) as error:
            # `datasets` hides the cause of some, and says it in words.
            if isinstance(error, errors.GatedRepoError) or "is a gated" in str(error):
                fix = f"ask for access at https://huggingface.co/datasets/{self._id}, then set HF_TOKEN"
                raise InputError(self.name, found="a gated data set", fix=fix) from None
            fix = "check the name; for a private one set HF_TOKEN"
            raise InputError(self.name, found="no such data set, or a private one", fix=fix) from None
        except (DatasetsError, ValueError, OSError, RuntimeError) as error:
            fix = "check revision, config and split in table.source"
            raise InputError(self.name, found=_in_one_line(error), expected=_EXPECTED, fix=fix) from error


def _parquet_settings(columns: list[str], rows: int) -> dict[str, Any]:
    """`select_columns` alone would still fetch every column, and a whole row group of images at once."""
    options = ds.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=BUFFER_BYTES, pre_buffer=False)
    return {"columns": columns, "batch_size": rows, "fragment_scan_options": options}


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MAX_ERROR_CHARS] or type(error).__name__
