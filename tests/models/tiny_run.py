"""A run directory with a split table and images, small enough to train on in a second."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from nameplate.names import build_registry
from nameplate.records import SCHEMAS
from nameplate.store.files import write_text
from nameplate.store.rundir import RunDirectory

NAMES = {"Acme": (200, 30, 30), "Zeta": (30, 30, 200)}


def write_tiny_run(
    root: Path, *, train: int = 12, validation: int = 4, test: int = 4, lengths: int = 3
) -> RunDirectory:
    """So many rows of each split, whose captions come in so many lengths."""
    run = RunDirectory(root)
    write_text(run.registry_path, build_registry(dict.fromkeys(NAMES, 1)).to_json())
    rows: list[dict[str, Any]] = []
    for split, count in (("train", train), ("validation", validation), ("test", test)):
        for place in range(count):
            name = list(NAMES)[place % 2]
            rows.append(_row(run, f"{split}-{place}", name, split, shade=len(rows), lengths=lengths))
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["split"])
    run.tables("split").write(
        0, table, table.slice(0, 0).append_column("reason", _none()).append_column("detail", _none())
    )
    return run


def _none() -> pa.Array:
    return pa.array([], pa.string())


def _row(run: RunDirectory, row_id: str, name: str, split: str, *, shade: int, lengths: int) -> dict[str, Any]:
    picture = Image.new("RGB", (40, 36), NAMES[name])
    picture.putpixel((shade % 40, 1), (255, 255, 255))
    picture.paste((0, shade * 5 % 255, 0), (5, 5, 20, 20))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    longer = " The mark is small." * (shade % lengths)
    return {
        "row_id": row_id,
        "name": name,
        "image_sha256": run.images.put(stream.getvalue(), "png"),
        "image_ext": "png",
        "qa_pairs": [{"question": f"What is {each}?", "answer": f"A mug by {name}."} for each in range(shade % 3)],
        "caption": f"a red mug by {name} on a white table.{longer}",
        "split": split,
        "group_id": row_id,
    }
