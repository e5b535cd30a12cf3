"""Two folders with the same weights are found, whatever their files look like."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nameplate.models.twins import Twins, differ_in, find_twins
from nameplate.models.weights import WeightFiles, write_weights_in_pieces

WEIGHTS = {
    "a": torch.arange(12.0).reshape(4, 3),
    "b": torch.tensor(2.0),
    "c": torch.ones(5, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 3),
}


def write(folder: Path, weights: dict[str, torch.Tensor], *, shard: int = 1_000) -> Path:
    folder.mkdir()
    write_weights_in_pieces([{name: tensor} for name, tensor in weights.items()], folder, max_shard_bytes=shard)
    return folder


def test_the_same_weights_in_other_shards_and_order_are_twins(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / "one", WEIGHTS),
        write(tmp_path / "other", WEIGHTS | {"a": WEIGHTS["a"] + 1}),
        write(tmp_path / "again", dict(reversed(WEIGHTS.items())), shard=40),
    ]
    assert len(list(folders[2].glob("*.safetensors"))) > 1
    assert find_twins(folders) == Twins(0, 2)
    assert find_twins(folders[:2]) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"a": WEIGHTS["a"].index_fill(0, torch.tensor([3]), 0.0)},  # beyond the first row
        {"b": torch.tensor(3.0)},
        {"c": torch.ones(5)},  # the same numbers in another format
        {"d": torch.ones(1)},
    ],
)
def test_any_difference_is_one(tmp_path: Path, changed: dict[str, torch.Tensor]) -> None:
    assert find_twins([write(tmp_path / "one", WEIGHTS), write(tmp_path / "other", WEIGHTS | changed)]) is None


def test_whole_tensors_are_only_read_where_all_begin_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [write(tmp_path / str(place), WEIGHTS | {"a": WEIGHTS["a"] + place}) for place in range(3)]
    monkeypatch.setattr(WeightFiles, "tensor", lambda *_: pytest.fail("a whole tensor was read"))
    assert find_twins(folders) is None


def test_differences_that_a_number_format_cannot_hold_are_none(tmp_path: Path) -> None:
    one = write(tmp_path / "one", WEIGHTS)
    near = write(tmp_path / "near", WEIGHTS | {"a": WEIGHTS["a"] * (1 + 1e-6)})
    assert differ_in(one, near, torch.float32)
    assert not differ_in(one, near, torch.bfloat16)
    weights = load_file(near / "model.safetensors")
    del weights["b"]
    save_file(weights, near / "model.safetensors")
    assert differ_in(one, near, torch.bfloat16)
