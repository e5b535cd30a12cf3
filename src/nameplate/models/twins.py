"""Whether two model folders hold the same weights, however they are cut into files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch

from nameplate.models.weights import WeightFiles


class Twins(NamedTuple):
    """Two places in a list of folders, the earlier first."""

    first: int
    second: int


def find_twins(folders: Sequence[Path]) -> Twins | None:
    """The first two folders whose weights are the same by name and value; none: all differ.

    Other shards, metadata or order of tensors make no difference. Whole tensors are only read of folders whose tensors
    all begin alike, so this takes a moment however large the models are.

    Raises:
        ModelError: a file is broken or missing.
    """
    files = [WeightFiles(folder) for folder in folders]
    sketches = [_sketch(each) for each in files]
    for first, second in combinations(range(len(files)), 2):
        if sketches[first] == sketches[second] and _same(files[first], files[second]):
            return Twins(first, second)
    return None


def differ_in(one: Path, other: Path, dtype: torch.dtype) -> bool:
    """Whether the weights still differ once they are rounded to a number format.

    Folders with other names of tensors, such as the two layouts of InternVL, count as different.
    """
    here, there = WeightFiles(one), WeightFiles(other)
    if here.shapes != there.shapes:
        return True
    return any(not torch.equal(here.tensor(name).to(dtype), there.tensor(name).to(dtype)) for name in here.shapes)


def _sketch(files: WeightFiles) -> str:
    digest = hashlib.sha256()
    for name, row in sorted(files.beginnings()):
        digest.update(f"{name} {row.dtype} {files.shapes[name]}".encode())
        digest.update(row.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _same(one: WeightFiles, other: WeightFiles) -> bool:
    return all(torch.equal(one.tensor(name), other.tensor(name)) for name in one.shapes)
