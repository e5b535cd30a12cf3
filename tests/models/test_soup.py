"""The average of checkpoints: the numbers, the folder, and when it is made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nameplate.errors import ModelError
from nameplate.models import soup
from nameplate.models.checkpoint import NOTES_FILE, read_notes
from nameplate.models.load import load_model
from nameplate.models.locate import weights_fingerprint
from nameplate.models.soup import keep_average
from nameplate.models.weights import WeightFiles, write_weights

from .tiny_model import write_tiny_model


def write_checkpoint(folder: Path, *, epoch: int) -> Path:
    write_tiny_model(folder, seed=epoch)
    notes = {"epoch": epoch, "train_loss": 1 / epoch, "base": "starter"}
    (folder / NOTES_FILE).write_text(json.dumps(notes))
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    return [write_checkpoint(tmp_path / f"epoch-0{epoch}", epoch=epoch) for epoch in (1, 2, 3)]


def average(members: list[Path]) -> Path:
    fingerprints = {member: weights_fingerprint(member) for member in members}
    return keep_average(fingerprints, members[-1].parent / "average-3")


def store_as(folder: Path, dtype: torch.dtype) -> None:
    weights = {name: tensor.to(dtype) for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_is_the_mean_of_the_members(members: list[Path], dtype: torch.dtype) -> None:
    """Against numpy in double precision; three float32 additions are off by at most two units in the last place."""
    for member in members:
        store_as(member, dtype)
    weights = [load_file(member / "model.safetensors") for member in members]
    # One of them in shards, in another order.
    (members[0] / "model.safetensors").unlink()
    write_weights(dict(reversed(weights[0].items())), members[0], max_shard_size="100KB")
    found = WeightFiles(average(members))
    assert set(found.shapes) == set(weights[0])
    for name in found.shapes:
        tensor = found.tensor(name)
        assert tensor.dtype == dtype
        expected = np.mean([each[name].double().numpy() for each in weights], axis=0)
        step = {torch.float32: 2e-7, torch.bfloat16: 4e-3}[dtype]
        np.testing.assert_allclose(tensor.double().numpy(), expected, rtol=step, atol=1e-7)


def test_average_is_a_whole_model_that_says_what_it_is(members: list[Path]) -> None:
    folder = average(members)
    load_model(str(folder))
    assert {path.name for path in folder.iterdir()} == {path.name for path in members[-1].iterdir()} - {"adapter"}
    said = {member.name: weights_fingerprint(member) for member in members}
    assert read_notes(folder) == {"epoch": 3, "train_loss": None, "base": "starter", "average_of": said}


def test_average_is_kept_until_a_member_changes(members: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = weights_fingerprint(average(members))
    with monkeypatch.context() as patch:
        patch.setattr(soup, "_write_average", lambda *_: pytest.fail("the same average was computed twice"))
        average(members)
    store_as(members[0], torch.bfloat16)
    assert weights_fingerprint(average(members)) != first


def test_interrupted_average_leaves_the_one_before_whole(members: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = weights_fingerprint(average(members))
    store_as(members[0], torch.bfloat16)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        average(members)
    folder = members[0].parent / "average-3"
    assert weights_fingerprint(folder) == first
    assert load_model(str(folder))
    assert not list(folder.parent.glob(".*"))


def test_adapters_are_refused(members: list[Path]) -> None:
    (members[1] / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="epoch-02: an adapter; the average of adapters is not"):
        average(members)


def test_weights_of_other_shapes_are_refused(members: list[Path]) -> None:
    weights = load_file(members[0] / "model.safetensors")
    name = min(weights)
    weights[name] = weights[name][..., :1].contiguous()
    save_file(weights, members[0] / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"epoch-01: .* has the shape"):
        average(members)


def test_whole_numbers_that_differ_have_no_average(members: list[Path]) -> None:
    for place, member in enumerate(members):
        weights = load_file(member / "model.safetensors") | {"steps": torch.tensor([place, 7])}
        save_file(weights, member / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="steps: whole numbers that differ"):
        average(members)
    for member in members:
        weights = load_file(member / "model.safetensors") | {"steps": torch.tensor([1, 7])}
        save_file(weights, member / "model.safetensors", metadata={"format": "pt"})
    assert WeightFiles(average(members)).tensor("steps").tolist() == [1, 7]
