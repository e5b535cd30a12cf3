from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fetch_runs import LONGEST_SIDE, tally
from peers import PeerSettings, SavedImage, saved_by_img2dataset
from row_pictures import book
from shop_links import SAVEABLE, LinkKind, link_kinds

NUM_LINKS = 200
KINDS = link_kinds(NUM_LINKS)
ROOT = Path(__file__).parents[2]


def small(row: int, size: tuple[int, int] = (336, LONGEST_SIDE)) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(book(4).jpeg(row))).resize(size).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_rows_are_counted_by_what_their_pixels_say() -> None:
    good = [row for row, kind in enumerate(KINDS) if kind is LinkKind.GOOD]
    saved = [
        SavedImage(good[0], small(good[0])),
        SavedImage(good[1], small(good[2])),
        SavedImage(good[3], small(good[3], (300, 400))),
        SavedImage(KINDS.index(LinkKind.CUT_FILE), small(KINDS.index(LinkKind.CUT_FILE))),
    ]
    counted = tally(saved, NUM_LINKS)
    assert (counted.saved, counted.mispaired, counted.unreadable) == (2, 1, 0)
    assert (counted.from_bad_links, counted.wrong_size) == (1, 1)
    num_saveable = sum(kind in SAVEABLE for kind in KINDS)
    assert sum(counted.missed.values()) == num_saveable - 2
    assert counted.missed["flaky"] == 2


def test_an_image_without_a_number_is_unreadable_and_its_row_missed() -> None:
    blank = io.BytesIO()
    Image.new("RGB", (336, LONGEST_SIDE), "white").save(blank, "JPEG")
    counted = tally([SavedImage(KINDS.index(LinkKind.GOOD), blank.getvalue())], NUM_LINKS)
    assert (counted.saved, counted.mispaired, counted.unreadable) == (0, 0, 1)


def write_shard(folder: Path, rows: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")


ROWS = [
    {"id": 7, "key": "000000000", "status": "success"},
    {"id": 8, "key": "000000001", "status": "failed_to_download"},
    {"id": 9, "key": "000000002", "status": "success"},
]


def test_what_img2dataset_saved_is_read_from_tars(tmp_path: Path) -> None:
    write_shard(tmp_path, ROWS)
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name in ("000000000.jpg", "000000000.json", "000000002.jpg", "000000002.json"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(name[-7:-4].encode()))
    assert list(saved_by_img2dataset(tmp_path)) == [SavedImage(7, b"000"), SavedImage(9, b"002")]


def test_what_img2dataset_saved_is_read_from_files_and_a_missing_one_is_told(tmp_path: Path) -> None:
    write_shard(tmp_path, ROWS)
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "000000000.jpg").write_bytes(b"one")
    with pytest.raises(SystemExit, match="1 rows say success"):
        list(saved_by_img2dataset(tmp_path))


@pytest.mark.parametrize("text", ["2x32:webdataset", "1x256:files"])
def test_settings_of_the_peer_are_read_as_they_are_shown(text: str) -> None:
    assert str(PeerSettings.parse(text)) == text


def test_the_quick_benchmark_saves_every_row_under_its_own_number(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/fetch.py", "--quick", "--peer", "none", "--json"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["links"], figures["saveable"], figures["rounds"]) == (200, 186, 1)
    for scheme in ("http", "https"):
        ours = figures[scheme]["tools"]["nameplate"]
        assert (ours["saved"], ours["missed"], ours["mispaired"], ours["unreadable"]) == (186, {}, 0, 0)
        assert (ours["from_bad_links"], ours["wrong_size"], ours["refused_links_asked_again"]) == (0, 0, 0)
        assert ours["most_at_once"] > 4
        assert ours["cpu_seconds"] > 0 and 0 < ours["peak_pss_mb"] <= ours["peak_rss_mb"]
    assert figures["http"]["tools"]["nameplate_polite"]["most_at_once"] <= 4
    assert all(ms > 0 for ms in figures["parts_ms_per_image"].values())
    assert list(tmp_path.iterdir()) == []
