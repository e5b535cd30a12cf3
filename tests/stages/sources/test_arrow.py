"""Parquet and Arrow: texts as text, images as bytes, and only what is asked for is read."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import open_source

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def write(path: Path, table: pa.Table, **options: Any) -> str:
    if path.suffix == ".parquet":
        pq.write_table(table, path, **options)
    else:
        new = pa.ipc.new_stream if path.suffix == ".arrow" else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
            writer.write_table(table, 1000)
    return str(path)


KINDS = ["t.parquet", "t.feather", "t.arrow"]


@pytest.mark.parametrize("name", KINDS)
def test_every_value_arrives_as_text_and_in_order(tmp_path: Path, name: str) -> None:
    table = pa.table(
        {
            "text": ["a", None, "é"],
            "int": pa.array([1, None, 3], pa.int64()),
            "float": [1.0, 2.5, None],
            "bool": [True, None, False],
            "list": [["x"], [], None],
            "struct": [{"k": 1}, None, {"k": None}],
            "date": pa.array([datetime.date(2024, 2, 29), None, None]),
            "category": pa.array(["p", "q", None]).dictionary_encode(),
            "bytes": pa.array([b"plain", None, b"text"], pa.binary()),
        }
    )
    rows = list(open_source(write(tmp_path / name, table)).rows())
    assert [row.line for row in rows] == [1, 2, 3]
    assert [list(row.cells.values()) for row in rows] == [
        ["a", "1", "1.0", "true", '["x"]', '{"k": 1}', '"2024-02-29"', "p", "plain"],
        ["", "", "2.5", "", "[]", "", "", "q", ""],
        ["é", "3", "", "false", "", '{"k": null}', "", "", "text"],
    ]
    assert not any(row.problem or row.blobs for row in rows)


@pytest.mark.parametrize("name", KINDS)
def test_images_are_structs_or_binary_columns_that_begin_like_one(tmp_path: Path, name: str) -> None:
    images = [{"bytes": PNG + b"1", "path": "one.png"}, {"bytes": None, "path": "two.png"}, None]
    table = pa.table({"image": images, "raw": pa.array([None, PNG, PNG], pa.large_binary()), "n": [1, 2, 3]})
    source = open_source(write(tmp_path / name, table))
    assert source.image_columns == {"image", "raw"}
    rows = list(source.rows())
    assert [row.cells["image"] for row in rows] == ["one.png", "two.png", ""]
    assert [dict(row.blobs) for row in rows] == [{"image": PNG + b"1"}, {"raw": PNG}, {"raw": PNG}]


@pytest.mark.parametrize("name", KINDS)
def test_rows_without_any_column_are_still_counted(tmp_path: Path, name: str) -> None:
    source = open_source(write(tmp_path / name, pa.table({"a": list(range(5000))})))
    assert sum(1 for _ in source.rows(columns=())) == 5000


def test_bytes_that_are_no_text_spoil_their_row_only(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([b"x", b"\xff\xfe", b"y\x00", b"z"], pa.binary())})
    rows = list(open_source(write(tmp_path / "t.parquet", table)).rows())
    assert [row.problem for row in rows] == [None, "line 2: not UTF-8", "line 3: holds a NUL character", None]
    assert rows[3].cells["a"] == "z"


def test_text_columns_with_spoilt_bytes_or_nul_spoil_their_row_only(tmp_path: Path) -> None:
    spoilt = pa.Array.from_buffers(pa.string(), 3, pa.array([b"ok", b"\xff", b"a\x00"], pa.binary()).buffers())
    rows = list(open_source(write(tmp_path / "t.feather", pa.table({"a": spoilt}))).rows())
    assert [row.problem for row in rows] == [None, "line 2: not UTF-8", "line 3: holds a NUL character"]


def test_a_damaged_row_group_keeps_what_stands_before(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "t.parquet", pa.table({"a": [f"{n:09d}" for n in range(9000)]}), row_group_size=4500))
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 64] = b"\xff" * 64
    path.write_bytes(bytes(data))
    rows = list(open_source(str(path)).rows())
    assert len(rows) > 4000
    assert [row.cells["a"] for row in rows[:-1]] == [f"{n:09d}" for n in range(len(rows) - 1)]
    assert "damaged here" in (rows[-1].problem or "")


def test_a_truncated_stream_keeps_what_stands_before(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "t.arrow", pa.table({"a": list(range(5000))})))
    path.write_bytes(path.read_bytes()[:-9000])
    rows = list(open_source(str(path)).rows())
    assert len(rows) > 2000
    assert "damaged here" in (rows[-1].problem or "")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("data", [b"", b"junk", b"PAR1" + b"x" * 100, b"ARROW1\x00\x00xx"])
def test_what_is_not_of_its_kind_is_a_clear_error(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"not a Parquet file|not an Arrow file or stream"):
        open_source(str(tmp_path / name))
