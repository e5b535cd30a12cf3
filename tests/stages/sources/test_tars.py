"""WebDataset tars: one row a sample, streamed, and no member's name ever names a file."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import RawRow, open_source

PNG = b"\x89PNG\r\n\x1a\n"


def tar_of(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def sample(key: str, n: int) -> list[tuple[str, bytes]]:
    return [(f"{key}.json", json.dumps({"prompt": f"p{n}", "n": n}).encode()), (f"{key}.jpg", PNG + bytes([n]))]


def read(tmp_path: Path, data: bytes, name: str = "t.tar") -> list[RawRow]:
    (tmp_path / name).write_bytes(data)
    return list(open_source(str(tmp_path / name)).rows())


@pytest.mark.parametrize("name", ["t.tar", "t.tar.gz", "t.tgz"])
def test_members_of_one_key_are_one_row(tmp_path: Path, name: str) -> None:
    data = tar_of(*(member for n in range(3) for member in sample(f"d/{n:03d}", n)), ("d/003.txt", b"words"))
    rows = read(tmp_path, gzip.compress(data) if name != "t.tar" else data, name)
    assert [dict(row.cells) for row in rows] == [
        {"__key__": "d/000", "prompt": "p0", "n": "0", "image": "d/000.jpg"},
        {"__key__": "d/001", "prompt": "p1", "n": "1", "image": "d/001.jpg"},
        {"__key__": "d/002", "prompt": "p2", "n": "2", "image": "d/002.jpg"},
        {"__key__": "d/003", "txt": "words"},
    ]
    assert [row.blobs.get("image") for row in rows] == [PNG + b"\0", PNG + b"\1", PNG + b"\2", None]
    source = open_source(str(tmp_path / name))
    assert source.columns == ("__key__", "prompt", "n", "txt", "image")
    assert source.image_columns == {"image"}


def test_bad_samples_are_reported_and_the_others_arrive(tmp_path: Path) -> None:
    members = [
        *sample("a", 1),
        ("b.json", b"{"),
        ("b.jpg", PNG),
        ("c.json", b"[1]"),
        ("d.jpg", PNG),
        ("d.png", PNG),
        ("e.txt", b"\xff"),
        ("f.json", b'{"x": "' + b"x" * 2_000_000 + b'"}'),
        *sample("g", 2),
    ]
    rows = read(tmp_path, tar_of(*members))
    problems = [row.problem for row in rows]
    words = [None, "not JSON", "not a JSON object", "two images", "not UTF-8", "longer than", None]
    assert all((word is None) == (said is None) for word, said in zip(words, problems, strict=True))
    assert all(word in said for word, said in zip(words, problems, strict=True) if word is not None and said)
    assert problems[1] is not None
    assert problems[1].startswith("line 2: ")


def test_names_that_climb_and_links_reach_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in [("../../x.txt", b"climbs"), ("/etc/y.txt", b"absolute")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for kind, name in [(tarfile.SYMTYPE, "link.txt"), (tarfile.LNKTYPE, "hard.jpg"), (tarfile.CHRTYPE, "dev.jpg")]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.txt")
            tar.addfile(info)
    before = sorted(tmp_path.rglob("*"))
    rows = read(tmp_path, stream.getvalue())
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "t.tar"])
    assert [(row.cells["__key__"], row.cells.get("txt")) for row in rows[:2]] == [
        ("../../x", "climbs"),
        ("/etc/y", "absolute"),
    ]
    assert ["is no file" in (row.problem or "") for row in rows] == [False, False, True, True, True]
    assert not any(row.blobs for row in rows)


@pytest.mark.parametrize("cut", [5, 1024, 1500, 2048, 10_000])
def test_a_truncated_tar_keeps_what_stands_before_and_says_so(tmp_path: Path, cut: int) -> None:
    whole = tar_of(*(member for n in range(40) for member in sample(f"{n:03d}", n)))
    end = 40 * 2 * 1024
    rows = read(tmp_path, whole[: end - cut])
    good = [row for row in rows if row.problem is None]
    assert len(good) >= 34
    assert [row.blobs["image"] for row in good] == [PNG + bytes([n]) for n in range(len(good))]
    assert "cut off or damaged" in (rows[-1].problem or "")


def test_a_spoilt_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    data = bytearray(tar_of(*(member for n in range(10) for member in sample(f"{n:03d}", n))))
    data[5 * 2048 : 5 * 2048 + 300] = b"\xff" * 300
    rows = read(tmp_path, bytes(data))
    assert [row.problem is None for row in rows] == [True] * 4 + [False]
    assert rows[4].cells["__key__"] == "004"


def test_what_is_no_tar_of_samples_is_a_clear_error(tmp_path: Path) -> None:
    for data, words in [
        (b"junk" * 1000, "without samples"),
        (tar_of(("README", b"x")), "without samples"),
        (b"", "tar"),
    ]:
        with pytest.raises(InputError, match=words):
            read(tmp_path, data)


def test_a_stream_of_many_samples_takes_little_memory_and_skips_images(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w") as tar:
        for n in range(20_000):
            info = tarfile.TarInfo(f"{n:06d}.txt")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    source = open_source(str(path))
    tracemalloc.start()
    assert sum(1 for _ in source.rows(columns={"txt"})) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # 20,000 remembered members would be 15 MB


def test_several_tars_are_one_table(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"d-{n:04d}.tar").write_bytes(tar_of(*sample("000", n)))
    rows = list(open_source(f"{tmp_path}/d-{{0000..0002}}.tar").rows())
    assert [(row.file, row.cells["n"]) for row in rows] == [(f"d-{n:04d}.tar", str(n)) for n in range(3)]
