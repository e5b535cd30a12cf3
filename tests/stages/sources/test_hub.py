"""Hugging Face data sets, streamed by the real `datasets` from a Hub on loopback."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from .fake_hub import FakeHub

CLIENT = Path(__file__).with_name("hub_client.py")
BASE = "hf://datasets/shop"


def png(n: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 50 + n).save(stream, "PNG")
    return stream.getvalue()


PIXELS = [png(n) for n in range(6)]
HASHES = [hashlib.sha256(data).hexdigest() for data in PIXELS]


def parquet(rows: list[dict[str, Any]], **features: dict[str, Any]) -> bytes:
    table = pa.Table.from_pylist(rows)
    if features:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        image = pa.array([row["image"] for row in rows], kind)
        table = table.set_column(table.column_names.index("image"), "image", image)
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def with_images(first: int, last: int) -> bytes:
    rows = [
        {"image": {"bytes": PIXELS[n], "path": f"{n}.png"}, "caption": f"c{n}", "kind": n % 2}
        for n in range(first, last)
    ]
    return parquet(
        rows,
        image={"_type": "Image"},
        caption={"dtype": "string", "_type": "Value"},
        kind={"names": ["bag", "shoe"], "_type": "ClassLabel"},
    )


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for n in range(2):
            for ending, data in [("jpg", PIXELS[n]), ("json", json.dumps({"prompt": f"p{n}"}).encode())]:
                info = tarfile.TarInfo(f"{n:03d}.{ending}")
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
    return stream.getvalue()


CONFIGS = b"""---
configs:
- config_name: small
  data_files: small.csv
- config_name: large
  data_files: large.csv
---
"""
CARD = b"""---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: caption
    dtype: string
  - name: kind
    dtype:
      class_label:
        names:
          '0': sac
          '1': chaussure
  splits:
  - name: train
    num_bytes: 1
    num_examples: 3
---
"""
REPOS = {
    "shop/bytes": {
        "data/train-00000-of-00002.parquet": with_images(0, 3),
        "data/train-00001-of-00002.parquet": with_images(3, 5),
        "data/test-00000-of-00001.parquet": with_images(5, 6),
    },
    "shop/card": {"README.md": CARD, "t.parquet": with_images(0, 3)},
    "shop/wide": {
        "t.parquet": parquet(
            [
                {"image": {"bytes": random.Random(n).randbytes(3_000_000), "path": ""}, "caption": f"c{n}"}
                for n in range(6)
            ],
            image={"_type": "Image"},
            caption={"dtype": "string", "_type": "Value"},
        )
    },
    "shop/folder": {"metadata.csv": b"file_name,text\nb.png,B\na.png,A\n", "a.png": PIXELS[0], "b.png": PIXELS[1]},
    "shop/climbs": {"metadata.csv": b"file_name,text\n../../../etc/passwd,B\n", "a.png": PIXELS[0]},
    "shop/reaches": {
        "t.parquet": parquet(
            [{"image": {"bytes": None, "path": path}, "n": 1} for path in ("/etc/passwd", "file:///etc/passwd")],
            image={"_type": "Image"},
            n={"dtype": "int64", "_type": "Value"},
        )
    },
    "shop/csv": {"README.md": CONFIGS, "small.csv": b"brand,n\nNike,1\n", "large.csv": b"brand,n\nNike,1\nPuma,2\n"},
    "shop/tars": {"0.tar": tar()},
    "shop/gated": {"t.parquet": with_images(0, 1)},
}


@dataclass(frozen=True)
class Seen:
    hub: FakeHub
    answers: dict[str, dict[str, Any]]

    def __getitem__(self, address: str) -> dict[str, Any]:
        return self.answers[f"{BASE}/{address}"]


def ask(hub: FakeHub, home: Path, asked: list[tuple[str, list[str] | None]], **env: str) -> list[dict[str, Any]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), **env}
    command = [sys.executable, str(CLIENT), json.dumps([(f"{BASE}/{address}", columns) for address, columns in asked])]
    done = subprocess.run(command, env=clean | settings, capture_output=True, text=True, check=False, cwd=home)
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


ADDRESSES = [
    "bytes",
    "bytes?split=test",
    "bytes?split=validation",
    "card",
    "folder",
    "climbs",
    "reaches",
    "csv",
    "csv?config=small",
    "csv?config=large",
    "csv?config=huge",
    "csv?split=train&colour=red",
    "csv@nope",
    "csv/large.csv",
    "tars",
    "tars/*.tar",
    "gated",
    "none",
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with FakeHub(REPOS, gated=frozenset({"shop/gated"})).serving() as hub:
        answers = ask(hub, tmp_path_factory.mktemp("home"), [(address, None) for address in ADDRESSES])
        yield Seen(hub, {f"{BASE}/{address}": answer for address, answer in zip(ADDRESSES, answers, strict=True)})


def test_rows_and_bytes_of_a_split_arrive_in_order(seen: Seen) -> None:
    answer = seen["bytes"]
    assert answer["columns"] == ["image", "caption", "kind"]
    assert answer["images"] == ["image"]
    assert [row["line"] for row in answer["rows"]] == [1, 2, 3, 4, 5]
    assert [row["blobs"]["image"] for row in answer["rows"]] == HASHES[:5]
    assert [row["cells"] for row in answer["rows"]][:2] == [
        {"image": "0.png", "caption": "c0", "kind": "bag"},
        {"image": "1.png", "caption": "c1", "kind": "shoe"},
    ]
    assert [row["blobs"]["image"] for row in seen["bytes?split=test"]["rows"]] == HASHES[5:]
    assert answer["fingerprint"] != seen["bytes?split=test"]["fingerprint"]


def test_class_labels_are_words_also_those_of_the_card(seen: Seen) -> None:
    assert [row["cells"]["kind"] for row in seen["bytes"]["rows"]] == ["bag", "shoe", "bag", "shoe", "bag"]
    assert [row["cells"]["kind"] for row in seen["card"]["rows"]] == ["sac", "chaussure", "sac"]


def test_a_folder_of_images_is_read_from_its_own_repository(seen: Seen) -> None:
    rows = seen["folder"]["rows"]
    assert [(row["cells"], row["blobs"]["image"]) for row in rows] == [
        ({"image": "b.png", "text": "B"}, HASHES[1]),
        ({"image": "a.png", "text": "A"}, HASHES[0]),
    ]


def test_nothing_of_this_machine_is_read(seen: Seen) -> None:
    assert "file_name" in seen["climbs"]["error"]
    assert seen["reaches"]["images"] == ["image"]
    assert [row["blobs"] for row in seen["reaches"]["rows"]] == [{}, {}]


def test_configs(seen: Seen) -> None:
    assert [row["cells"]["brand"] for row in seen["csv?config=large"]["rows"]] == ["Nike", "Puma"]
    assert [row["cells"]["brand"] for row in seen["csv?config=small"]["rows"]] == ["Nike"]
    assert [row["cells"]["brand"] for row in seen["csv/large.csv"]["rows"]] == ["Nike", "Puma"]


def test_tars_look_the_same_by_either_way(seen: Seen) -> None:
    streamed, read = seen["tars"], seen["tars/*.tar"]
    assert set(streamed["columns"]) == set(read["columns"]) == {"__key__", "prompt", "image"}
    assert [row["blobs"] for row in streamed["rows"]] == [row["blobs"] for row in read["rows"]]
    assert [row["blobs"]["image"] for row in read["rows"]] == HASHES[:2]
    assert [row["cells"]["prompt"] for row in streamed["rows"]] == ["p0", "p1"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("bytes?split=validation", ["Bad split", "'train', 'test'"]),
        ("csv", ["Config name is missing", "small", "large"]),
        ("csv?config=huge", ["'huge' not found", "small", "large"]),
        ("csv?split=train&colour=red", ["unknown word 'colour'"]),
        ("csv@nope", ["no revision 'nope'"]),
        ("gated", ["gated", "HF_TOKEN", "https://huggingface.co/datasets/shop/gated"]),
        ("none", ["no such data set", "HF_TOKEN"]),
    ],
)
def test_what_is_not_there_is_said_and_what_is_there_is_named(seen: Seen, address: str, words: list[str]) -> None:
    error = seen[address]["error"]
    assert error.startswith(f"{BASE}/{address}: ")
    assert [word for word in words if word not in error] == []


def test_image_bytes_that_nobody_wants_do_not_cross_the_network(seen: Seen, tmp_path: Path) -> None:
    seen.hub.sent.clear()
    answer, labels = ask(seen.hub, tmp_path, [("wide", ["caption"]), ("card", ["kind"])])
    assert [row["cells"] for row in answer["rows"]] == [{"caption": f"c{n}"} for n in range(6)]
    assert [row["cells"] for row in labels["rows"]] == [{"kind": "sac"}, {"kind": "chaussure"}, {"kind": "sac"}]
    assert 0 < seen.hub.sent["t.parquet"] < len(REPOS["shop/wide"]["t.parquet"]) / 10


def test_offline_is_one_clear_paragraph(seen: Seen, tmp_path: Path) -> None:
    (answer,) = ask(seen.hub, tmp_path, [("csv?config=small", None)], HF_HUB_OFFLINE="1")
    assert "cannot be reached" in answer["error"]
    (answer,) = ask(seen.hub, tmp_path, [("csv?config=small", None)], HF_ENDPOINT="http://127.0.0.1:9")
    assert "cannot be reached" in answer["error"]


def test_no_telemetry(seen: Seen) -> None:
    assert seen.hub.agents
    assert [agent for agent in seen.hub.agents if "telemetry" in agent or "session_id" in agent] == []
