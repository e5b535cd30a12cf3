"""Images that come with the table go into the store as they are; nothing outside the given folder is ever read."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.engine import LocalEngine
from nameplate.errors import InputError
from nameplate.progress import SilentProgress
from nameplate.recipe import NameSection, TableSection
from nameplate.stages.ingest import IngestStage, map_columns, open_source
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

PNG = b"\x89PNG\r\n\x1a\n"


def ingest(source_name: object, out: Path, *, name: str | None = None, **section: object) -> StageTables:
    table = TableSection.model_validate({"source": str(source_name), "image": "image", **section})
    source = open_source(table.source)
    columns = map_columns(table, NameSection(column=name), source=source)
    tables, images = StageTables(out, "ingest"), ImageStore(out / "images")
    stage = IngestStage(table, columns=columns, source=source, overrides=None, images=images, tables=tables)
    stage.prepare([])
    LocalEngine().run(stage, stage.shards(), tables=tables, progress=SilentProgress())
    return tables


def stored(out: Path) -> set[bytes]:
    return {path.read_bytes() for path in (out / "images").rglob("*.raw")}


def test_bytes_of_a_parquet_column_go_into_the_store(tmp_path: Path) -> None:
    images = [{"bytes": PNG + bytes([n]), "path": f"{n}.png" if n else None} for n in range(3)]
    rows = {"image": [*images, None, {"bytes": b"", "path": "e.png"}], "text": ["a", "b", "c", "d", "e"]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    tables = ingest(tmp_path / "t.parquet", tmp_path / "out", text="text")
    kept = tables.read_kept().to_pylist()
    assert [row["image_blob"] for row in kept] == [hashlib.sha256(PNG + bytes([n])).hexdigest() for n in range(3)]
    assert [(row["image_url"], row["text"], row["name"]) for row in kept] == [
        ("", "a", ""),
        ("1.png", "b", ""),
        ("2.png", "c", ""),
    ]
    assert stored(tmp_path / "out") == {PNG + bytes([n]) for n in range(3)}
    assert tables.reasons() == {"missing_image": 2}


def test_a_shard_of_large_images_never_lies_in_memory(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for n in range(200):
            info = tarfile.TarInfo(f"{n:03d}.jpg")
            info.size = 1_000_000
            tar.addfile(info, io.BytesIO(PNG + b"x" * (info.size - len(PNG))))
    tracemalloc.start()
    tables = ingest(tmp_path / "t.tar", tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tables.num_kept() == 200
    assert peak < 20_000_000  # one shard holds all 200 MB


def test_the_image_of_a_row_without_a_name_is_not_kept(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": PNG + name.encode(), "path": "x"}, "brand": name} for name in ("Nike", "N.A.", "-")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    tables = ingest(tmp_path / "t.parquet", tmp_path / "out", name="brand")
    assert tables.reasons() == {"missing_name": 2}
    assert stored(tmp_path / "out") == {PNG + b"Nike"}


def test_a_tar_and_a_folder_of_images(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, data in [("a.json", b'{"prompt": "p"}'), ("a.jpg", PNG + b"a"), ("b.json", b"{}")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    tables = ingest(tmp_path / "t.tar", tmp_path / "tar", text="prompt", id="__key__")
    assert [(row["row_id"], row["image_url"], row["text"]) for row in tables.read_kept().to_pylist()] == [
        ("a", "a.jpg", "p")
    ]
    assert tables.reasons() == {"missing_image": 1}
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "1.png").write_bytes(PNG + b"1")
    (folder / "metadata.csv").write_bytes(b"file_name,text\n1.png,one\n../t.tar,two\nnone.png,three\n,four\n")
    tables = ingest(folder, tmp_path / "out", text="text")
    assert [row["text"] for row in tables.read_kept().to_pylist()] == ["one"]
    assert tables.reasons() == {"file_blocked": 1, "missing_file": 1, "missing_image": 1}
    assert stored(tmp_path / "out") == {PNG + b"1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "in.png").write_bytes(PNG + b"in")
    (tmp_path / "secret.png").write_bytes(PNG + b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "inner.png").symlink_to(root / "sub" / "in.png")
    (root / "out").symlink_to(tmp_path)
    (root / "loop.png").symlink_to(root / "loop.png")
    os.mkfifo(root / "pipe.png")
    return root


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("sub/in.png", None),
        ("./sub/../sub/in.png", None),
        ("inner.png", None),
        ("http://a/1.jpg", None),
        ("../secret.png", "file_blocked"),
        ("link.png", "file_blocked"),
        ("out/secret.png", "file_blocked"),
        ("sub", "file_blocked"),
        ("pipe.png", "file_blocked"),
        ("/dev/zero", "file_blocked"),
        ("/etc/passwd", "file_blocked"),
        ("none.png", "missing_file"),
        ("loop.png", "missing_file"),
        ("x" * 5000, "missing_file"),
        ("sub/in.png/x", "missing_file"),
        ("N.A.", "missing_image"),
    ],
)
def test_paths_are_followed_inside_the_given_folder_only(
    tmp_path: Path, root: Path, cell: str, reason: str | None
) -> None:
    (tmp_path / "t.csv").write_text(f"image,x\n{cell},1\n", encoding="utf-8")
    tables = ingest(tmp_path / "t.csv", tmp_path / "o", image_root=str(root))
    assert list(tables.reasons()) == ([reason] if reason else [])
    assert stored(tmp_path / "o") == (
        {PNG + b"in"} if (cell.endswith("in.png") and reason is None) or cell == "inner.png" else set()
    )


def test_without_a_folder_no_path_is_followed(tmp_path: Path, root: Path) -> None:
    (tmp_path / "t.csv").write_text(f"image\n{root}/sub/in.png\n", encoding="utf-8")
    ingest(tmp_path / "t.csv", tmp_path / "o")
    assert stored(tmp_path / "o") == set()


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image\n1.png\n", encoding="utf-8")
    with pytest.raises(InputError, match="no such folder"):
        ingest(tmp_path / "t.csv", tmp_path / "o", image_root=str(tmp_path / "none"))


def test_rows_of_several_files_have_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / "t").mkdir(exist_ok=True)
        (tmp_path / "t" / name).write_text("image\nhttp://a/1.jpg\n", encoding="utf-8")
    tables = ingest(tmp_path / "t", tmp_path / "o")
    assert tables.read_kept()["row_id"].to_pylist() == ["a.csv:00000002", "b.csv:00000002"]
