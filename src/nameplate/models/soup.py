"""The average of several checkpoints' weights: one more candidate that costs no training.

Averaging the last weights of one training often beats each of them (model soups, arXiv 2203.05482; stochastic weight
averaging, arXiv 1803.05407).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from nameplate.errors import ModelError
from nameplate.models.checkpoint import NOTES_FILE, read_notes, replacing_folder
from nameplate.models.weights import INDEX_FILE, WeightFiles, check_shapes, write_weights_in_pieces
from nameplate.store.files import write_json

MEMBERS = "average_of"


def keep_average(members: Mapping[Path, str], folder: Path) -> Path:
    """The average of checkpoints, computed unless `folder` already is that of the same weights.

    Args:
        members: fingerprint of the weights by checkpoint folder, earliest first. Checkpoints of LoRA policies are
            merged, so it is their whole weights that are averaged.
        folder: where it goes; whole or not at all.

    Raises:
        ModelError: a member is an adapter, or its weights are of other names or shapes than the last one's.
        RunDirectoryError: the disk is full.
    """
    said = {member.name: weights for member, weights in members.items()}
    if not (folder / NOTES_FILE).exists() or read_notes(folder).get(MEMBERS) != said:
        _write_average(list(members), folder, said)
    return folder


def _write_average(members: Sequence[Path], folder: Path, said: Mapping[str, str]) -> None:
    for member in members:
        if (member / "adapter_config.json").exists():
            raise ModelError(
                str(member),
                found="an adapter; the average of adapters is not the adapter of the average",
                expected="whole weights",
                fix="merge it into its base, or set score.average_last to 0",
            )
    last, files = members[-1], [WeightFiles(member) for member in members]
    for each in files[:-1]:
        check_shapes(each.shapes, files[-1].shapes, where=each.folder)
    with replacing_folder(folder) as temporary:
        write_weights_in_pieces(_means(files), temporary)
        for path in last.iterdir():
            if path.is_file() and path.suffix != ".safetensors" and path.name != INDEX_FILE:
                shutil.copyfile(path, temporary / path.name)
        # No training led to it, so there is no loss of one.
        write_json(temporary / NOTES_FILE, read_notes(last) | {"train_loss": None, MEMBERS: dict(said)})


def _means(files: Sequence[WeightFiles]) -> Iterator[dict[str, torch.Tensor]]:
    """One tensor at a time, summed in float32 and stored as the last member stores it."""
    for name in files[-1].shapes:
        last = files[-1].tensor(name)
        if not last.is_floating_point():
            yield {name: _agreed(name, last, files)}
            continue
        total = last.to(torch.float32, copy=True)
        for each in files[:-1]:
            total += each.tensor(name)
        yield {name: (total / len(files)).to(last.dtype)}


def _agreed(name: str, last: torch.Tensor, files: Sequence[WeightFiles]) -> torch.Tensor:
    """Whole numbers have no average."""
    if not all(torch.equal(each.tensor(name), last) for each in files):
        raise ModelError(
            f"{files[-1].folder}: {name}",
            found="whole numbers that differ between checkpoints",
            fix="set score.average_last to 0",
        )
    return last
