"""Values on disk: what was written is read, what was not is not, and never half of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nameplate.models.prefix.store import PrefixSpace, PrefixStore

ENTRY = {"value": torch.arange(12, dtype=torch.float32).view(3, 4), "size": torch.tensor([7, 9])}


def entry(seed: int, *shape: int) -> dict[str, torch.Tensor]:
    return {"value": torch.randn(*shape, generator=torch.Generator().manual_seed(seed))}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.int64])
def test_what_was_put_is_read_in_another_process_view(tmp_path: Path, dtype: torch.dtype) -> None:
    written = {"a": {"value": torch.arange(6).view(2, 3).to(dtype)}, "b": ENTRY}
    PrefixSpace(tmp_path).put(written)
    again = PrefixSpace(tmp_path)
    assert again.missing(["b", "c", "a", "c"]) == ["c"]
    for key, entry_ in written.items():
        read = again.read(key)
        assert read.keys() == entry_.keys()
        assert all(read[name].equal(tensor) and read[name].dtype == tensor.dtype for name, tensor in entry_.items())


def test_what_another_writes_is_seen_after_a_refresh(tmp_path: Path) -> None:
    one, other = PrefixSpace(tmp_path), PrefixSpace(tmp_path)
    one.put({"a": ENTRY})
    assert other.missing(["a"]) == ["a"]
    other.refresh()
    assert other.missing(["a"]) == []


@pytest.mark.parametrize("damage", ["cut", "one bit", "emptied", "foreign"])
def test_a_damaged_file_is_as_if_it_were_not_there(tmp_path: Path, damage: str) -> None:
    space = PrefixSpace(tmp_path)
    space.put({"good": entry(1, 50, 50)})
    bad = space.put({"bad": entry(2, 50, 50)})
    data = bytearray(bad.read_bytes())
    if damage == "one bit":
        data[-5000] ^= 4
    bad.write_bytes({"cut": data[:-100], "one bit": data, "emptied": b"", "foreign": b"not a tensor"}[damage])
    again = PrefixSpace(tmp_path)
    assert again.missing(["good", "bad"]) == ["bad"]
    assert again.num_damaged == 1
    again.put({"bad": entry(2, 50, 50)})
    assert again.missing(["good", "bad"]) == []
    assert PrefixSpace(tmp_path).missing(["good"]) == []


def test_an_entry_beside_a_damaged_one_is_kept(tmp_path: Path) -> None:
    space = PrefixSpace(tmp_path)
    path = space.put({"a": entry(1, 40), "b": entry(2, 40)})
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert len(PrefixSpace(tmp_path).missing(["a", "b"])) == 1


def test_a_half_written_file_is_never_looked_at(tmp_path: Path) -> None:
    space = PrefixSpace(tmp_path)
    space.put({"a": ENTRY})
    (tmp_path / ".half.safetensors.abc.tmp").write_bytes(b"half")
    (tmp_path / ".half.safetensors").write_bytes(b"half")
    again = PrefixSpace(tmp_path)
    assert again.missing(["a"]) == []
    assert again.num_damaged == 0


_FILLS = """
import sys, torch
from pathlib import Path
from nameplate.models.prefix.store import PrefixSpace
space = PrefixSpace(Path(sys.argv[1]))
with space.filling():
    for number in range(10_000):
        space.put({str(number): {"value": torch.full((200, 200), float(number))}})
        print(number, flush=True)
"""


def test_kill_while_filling_loses_nothing_that_was_filled(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _FILLS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(5)]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    filled = [line.strip() for line in said]
    space = PrefixSpace(tmp_path)
    assert space.missing(filled) == []
    assert space.num_damaged == 0
    assert space.read("4")["value"].unique().tolist() == [4.0]
    with space.filling():
        space.put({"new": ENTRY})


def test_spaces_not_used_for_longest_make_room(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, max_bytes=100_000)
    for age, name in enumerate(["old", "older", "mine"]):
        space = store.space(name, about={"what": name})
        space.put({"a": entry(age, 100, 100)})
    for name, used in (("old", 2_000_000), ("older", 1_000_000), ("mine", 0)):
        os.utime(tmp_path / name / "about.json", (used, used))
    reader = store.space("old", about={"what": "old"})
    os.utime(tmp_path / "old" / "about.json", (2_000_000, 2_000_000))
    assert store.num_bytes() > 120_000
    assert store.room_for("mine") < 60_000
    freed = store.make_room(10_000, keep="mine")
    assert freed > 40_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "old"]
    store.make_room(55_000, keep="mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert reader.missing(["a"]) == [], "who reads a space goes on reading"
    assert reader.read("a")["value"].equal(entry(0, 100, 100)["value"])
