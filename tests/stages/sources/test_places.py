"""Where tables lie: one file or many, here or elsewhere."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import open_source

from .counted import CountedFileSystem

PNG = b"\x89PNG\r\n\x1a\n"


def values(source: str) -> list[tuple[str, int, str]]:
    return [(row.file, row.line, row.cells.get("a", row.problem or "")) for row in open_source(source).rows()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in [("b.csv", "a\n3\n"), ("a.csv", "a\n1\n2\n"), ("sub/c.csv", "a\n4\n")]:
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_text(text, encoding="utf-8")
    (tmp_path / "t" / "_SUCCESS").write_bytes(b"")
    (tmp_path / "t" / ".a.csv.crc").write_bytes(b"x")
    (tmp_path / "t" / "README.md").write_bytes(b"# t")
    return tmp_path / "t"


WHOLE = [("a.csv", 2, "1"), ("a.csv", 3, "2"), ("b.csv", 2, "3"), ("sub/c.csv", 2, "4")]


def test_a_folder_is_read_in_name_order_and_each_row_says_its_file(folder: Path) -> None:
    assert values(str(folder)) == WHOLE
    assert values(f"{folder}/") == WHOLE


def test_globs_and_ranges(folder: Path) -> None:
    assert values(f"{folder}/*.csv") == WHOLE[:3]
    for number in range(8, 11):
        (folder / f"n-{number:02d}.jsonl").write_text(f'{{"a": {number}}}\n', encoding="utf-8")
    assert values(f"{folder}/n-{{08..10}}.jsonl") == [(f"n-{n:02d}.jsonl", 1, str(n)) for n in (8, 9, 10)]
    with pytest.raises(InputError, match="n-11"):
        values(f"{folder}/n-{{08..11}}.jsonl")


def test_a_table_elsewhere_is_read_the_same(folder: Path) -> None:
    memory = fsspec.filesystem("memory")
    for path in folder.rglob("*.csv"):
        memory.pipe(f"/shop/{path.relative_to(folder)}", path.read_bytes())
    assert values("memory://shop") == WHOLE
    assert values("memory://shop/*.csv") == WHOLE[:3]
    assert values("memory://shop/a.csv") == [("", 2, "1"), ("", 3, "2")]
    first = open_source("memory://shop/a.csv").fingerprint()
    memory.pipe("/shop/a.csv", b"a\n1\n2\n3\n")
    assert open_source("memory://shop/a.csv").fingerprint() != first


def test_one_spoilt_file_of_many_is_one_bad_row(folder: Path) -> None:
    (folder / "b.csv").write_bytes("a\n1\n".encode("utf-16"))
    found = values(str(folder))
    assert found[:2] + found[3:] == WHOLE[:2] + WHOLE[3:]
    assert found[2] == ("b.csv", 1, "line 1 of b.csv: UTF-16 text")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ({}, "no such table"),
        ({"x.docx": b"x"}, "ending '.docx'"),
        ({"a.csv": b"a\n1\n", "b.jsonl": b"{}\n"}, r"several kinds: .csv, .jsonl.*\*\.csv"),
        ({"a.csv": b"a\n1\n", "b.png": PNG}, "images beside a table.*image_root"),
    ],
)
def test_a_folder_that_is_no_table_is_a_clear_error(tmp_path: Path, make: dict[str, bytes], words: str) -> None:
    for name, data in make.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    "source", ["nowhere://x/a.csv", "http://127.0.0.1:9/a.csv", "memory://none/a.csv", "/no/a.csv"]
)
def test_a_place_that_cannot_be_reached_is_a_clear_error(source: str) -> None:
    with pytest.raises(InputError) as caught:
        open_source(source)
    assert source in str(caught.value)


def test_the_fingerprint_follows_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    here = open_source(str(folder)).fingerprint()
    folder.rename(tmp_path / "moved")
    moved = tmp_path / "moved"
    assert open_source(str(moved)).fingerprint() == here
    (moved / "a.csv").write_text("a\n1\n9\n", encoding="utf-8")
    assert open_source(str(moved)).fingerprint() != here


def test_image_bytes_that_nobody_wants_are_not_read(tmp_path: Path) -> None:
    images = [{"bytes": PNG + bytes([n]) * 1_000_000, "path": f"{n}.png"} for n in range(20)]
    pq.write_table(pa.table({"image": images, "n": list(range(20))}), tmp_path / "t.parquet", compression="none")
    source = open_source(f"counted://{tmp_path}/t.parquet")
    CountedFileSystem.read_bytes_so_far = 0
    assert [row.cells["n"] for row in source.rows(columns={"n"})] == [str(n) for n in range(20)]
    assert 0 < CountedFileSystem.read_bytes_so_far < 200_000
    assert [row.blobs["image"][-1] for row in source.rows(columns={"image"})] == list(range(20))  # type: ignore[index]
    assert CountedFileSystem.read_bytes_so_far > 20_000_000
