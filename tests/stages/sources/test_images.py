"""Folders of images: with metadata, with classes, bare; compared with the `imagefolder` builder itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import open_source


def png(n: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (n, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def fill(folder: Path, *names: str) -> None:
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(n))


def describe(folder: Path, kind: str, rows: list[dict[str, Any]]) -> None:
    if kind == "csv":
        lines = [",".join(map(str, row.values())) for row in rows]
        (folder / "metadata.csv").write_text("\n".join([",".join(rows[0]), *lines]), encoding="utf-8")
    elif kind == "jsonl":
        (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), folder / "metadata.parquet")


def builder_rows(folder: Path, cache: Path) -> list[dict[str, Any]]:
    import datasets

    features = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(cache), streaming=True)
    stream = features[next(iter(features))]
    labels = stream.features.get("label")
    rows = []
    for row in stream.decode(False):
        image = row.pop("image")
        data = image["bytes"] or Path(image["path"]).read_bytes()
        if labels is not None:
            row["label"] = labels.int2str(row["label"])
        rows.append({"image": data, **{name: str(cell) for name, cell in row.items()}})
    return rows


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_metadata_describes_images_as_the_builder_reads_them(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "f"
    fill(folder, "1.png", "sub/2.png", "3.png")
    names = ["3.png", "1.png", "sub/2.png"]
    describe(folder, kind, [{"file_name": name, "text": f"about {name}", "n": n} for n, name in enumerate(names)])
    source = open_source(str(folder))
    rows = list(source.rows())
    assert source.columns == ("file_name", "image", "text", "n")
    assert source.image_columns == {"image"}
    found = [
        {"image": Path(row.blobs["image"]).read_bytes(), "text": row.cells["text"], "n": row.cells["n"]}  # type: ignore[arg-type]  # a path
        for row in rows
    ]
    assert found == builder_rows(folder, tmp_path / "cache")
    assert [row.cells["file_name"] for row in rows] == names
    assert source.folder == folder


def test_class_folders_become_labels_as_the_builder_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    fill(folder, "cat/1.png", "dog/1.png", "cat/2.jpg")
    source = open_source(str(folder))
    assert source.columns == ("file_name", "image", "label")
    found = [{"image": Path(row.blobs["image"]).read_bytes(), "label": row.cells["label"]} for row in source.rows()]  # type: ignore[arg-type]  # a path
    assert found == builder_rows(folder, tmp_path / "cache")


def test_a_bare_folder_gives_its_images_in_name_order(tmp_path: Path) -> None:
    fill(tmp_path / "f", "b.png", "a.JPG", "c.webp")
    (tmp_path / "f" / "notes.txt").write_bytes(b"x")
    source = open_source(str(tmp_path / "f"))
    assert source.columns == ("file_name", "image")
    assert [row.cells["file_name"] for row in source.rows()] == ["a.JPG", "b.png", "c.webp"]
    assert not any(row.blobs for row in source.rows(columns={"file_name"}))


def test_metadata_in_several_folders_and_images_without_any(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    fill(folder, "train/1.png", "test/1.png", "test/2.png")
    describe(folder / "train", "csv", [{"file_name": "1.png", "text": "train"}])
    describe(folder / "test", "csv", [{"file_name": "1.png", "text": "test"}])
    rows = list(open_source(str(folder)).rows())
    assert [(row.file, row.cells["file_name"], row.cells.get("text")) for row in rows] == [
        ("test/metadata.csv", "1.png", "test"),
        ("train/metadata.csv", "1.png", "train"),
        ("f without metadata", "test/2.png", None),
    ]
    assert [row.blobs["image"] for row in rows] == [
        folder / name for name in ("test/1.png", "train/1.png", "test/2.png")
    ]


def test_broken_metadata_rows_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    fill(folder, "1.png")
    (folder / "metadata.csv").write_bytes(b"file_name,text\n1.png\n1.png,x\n")
    rows = list(open_source(str(folder)).rows())
    assert [row.problem for row in rows] == ["line 2 of metadata.csv: 1 cells, the header has 2", None]
    (folder / "metadata.csv").write_bytes(b"file,text\n1.png,x\n")
    with pytest.raises(InputError, match="no column 'file_name'"):
        open_source(str(folder))
