"""Loading and saving models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tests.models.tiny_model import write_tiny_model

from nameplate.errors import ModelError, RunDirectoryError
from nameplate.models.checkpoint import read_notes, save_checkpoint
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.locate import find_model, weights_fingerprint
from nameplate.models.policy import apply_policies
from nameplate.recipe import ComponentPolicy

FROZEN, FULL, LORA = ComponentPolicy(), ComponentPolicy(mode="full"), ComponentPolicy(mode="lora", rank=4)


def logits(model: torch.nn.Module, loaded: LoadedModel) -> torch.Tensor:
    ids = torch.tensor([loaded.processor.encode("Which brand is this product?", "Acme").input_ids])
    pixels = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    with torch.no_grad():
        output: torch.Tensor = model(input_ids=ids, pixel_values=pixels).logits
    return output


def test_fingerprint_is_of_the_weights(base: Path, tmp_path: Path) -> None:
    loaded = load_model(str(base))
    assert loaded.fingerprint == weights_fingerprint(base)
    assert not loaded.model.training
    other = write_tiny_model(tmp_path / "other", seed=1)
    assert load_model(str(other)).fingerprint != loaded.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nowhere/at/all", "no such folder; expected a folder, a Hub id or 'starter'"),
        ("./relative", "no such folder"),
    ],
)
def test_missing_folder_is_refused(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(name)


def test_hub_that_cannot_be_reached_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"model\.base nobody/nothing: no such folder, and the Hub does not give it"):
        find_model("nobody/nothing")


def test_pickled_weights_are_not_read(base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(
        ModelError, match=r"only pickled weights \(pytorch_model\.bin\), which can run any code; convert them"
    ):
        load_model(str(copy))


def test_unknown_family_is_refused(base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    tree = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(tree | {"model_type": "clip"}))
    with pytest.raises(ModelError, match="a model of the family 'clip'"):
        load_model(str(copy))


def test_missing_weights_are_not_made_up(base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    tensors = load_file(copy / "model.safetensors")
    dropped = next(name for name in tensors if "fc1.weight" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != dropped}, copy / "model.safetensors")
    with pytest.raises(ModelError, match=r"copy: model\.vision_tower.*fc1\.weight: is missing"):
        load_model(str(copy))


def _add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["language_model.model.layers.7.mlp.up_proj.weight"] = torch.ones(64, 32)


def _cut(tensors: dict[str, torch.Tensor]) -> None:
    tensors[FIRST] = tensors[FIRST][:-1].contiguous()


def _nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors[FIRST][0, 0] = torch.nan


FIRST = "vision_tower.encoder.layer.0.mlp.fc1.weight"


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (_add, r"layers\.7\.mlp\.up_proj\.weight: is no weight of this model"),
        (_cut, r"layer\.0\.mlp\.fc1\.weight: has another shape"),
        (_nan, r"layer\.0\.mlp\.fc1\.weight: holds NaN or infinity"),
    ],
)
def test_tampered_weights_are_refused_by_name(
    base: Path, tmp_path: Path, tamper: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    tensors = load_file(copy / "model.safetensors")
    tamper(tensors)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=message):
        load_model(str(copy))


def test_a_model_from_the_hub_is_found_offline_once_it_is_there(
    base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The cache as huggingface_hub lays it out."""
    repository = tmp_path / "models--nobody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    shutil.copytree(base, repository / "snapshots" / "0123abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    loaded = load_model("nobody/tiny")
    assert loaded.fingerprint == weights_fingerprint(base)


def test_only_weights_settings_and_tokenizer_are_asked_of_the_hub(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def snapshot(repository: str, *, allow_patterns: list[str]) -> str:
        asked.extend((repository, sorted(allow_patterns)))
        return str(base)

    monkeypatch.setattr("nameplate.models.locate.snapshot_download", snapshot)
    assert find_model("somebody/model") == base
    assert asked == ["somebody/model", ["*.jinja", "*.json", "*.safetensors", "*.txt", "LICENSE*", "README.md"]]


def test_broken_weights_are_one_clear_error(base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(copy))


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_checkpoint_reloads_to_the_same_model(tmp_path: Path, tie: bool, dtype: str) -> None:
    """float32: measured worst difference of logits 2e-7, the adapter's sum in another order. bfloat16: rounding."""
    folder = write_tiny_model(tmp_path / "base", tie=tie)
    if dtype == "bfloat16":
        shorter = load_model(str(folder), dtype=torch.bfloat16)
        shorter.model.save_pretrained(folder)
    loaded = load_model(str(folder))
    applied = apply_policies(loaded.model, {"vision": FULL, "projector": FROZEN, "language": LORA})
    with torch.no_grad():
        for parameter in applied.trainable().values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    target = tmp_path / "epoch-01"
    for _ in range(2):  # the second replaces the first
        save_checkpoint(loaded, applied, target, base=str(folder), notes={"epoch": 1})
    assert all(tensor.equal(before[name]) for name, tensor in loaded.model.state_dict().items())
    again = load_model(str(target))
    tolerance = 1e-5 if dtype == "float32" else 0.02
    wanted = logits(loaded.model, loaded)
    assert torch.allclose(logits(again.model, again), wanted, atol=tolerance)
    stored = load_file(target / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {getattr(torch, dtype)}
    assert set(stored) == set(load_file(folder / "model.safetensors"))
    assert read_notes(target) == {"epoch": 1}
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_adapter_folder_is_pefts_own(base: Path, tmp_path: Path) -> None:
    loaded = load_model(str(base))
    applied = apply_policies(loaded.model, {"vision": LORA, "projector": FROZEN, "language": LORA})
    with torch.no_grad():
        for parameter in applied.trainable().values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    save_checkpoint(loaded, applied, tmp_path / "epoch-01", base=str(base), notes={})
    fresh = load_model(str(base))
    plain = logits(fresh.model, loaded)
    adapted = PeftModel.from_pretrained(fresh.model, str(tmp_path / "epoch-01" / "adapter"))
    wanted = logits(loaded.model, loaded)
    assert torch.allclose(logits(adapted, loaded), wanted, atol=1e-5)
    assert not torch.allclose(plain, wanted, atol=1e-2)


def test_a_checkpoint_on_a_full_disk_is_one_clear_paragraph_and_leaves_the_last_one_whole(
    base: Path, full_disk: Path
) -> None:
    loaded = load_model(str(base))
    policies = {"vision": FULL, "projector": FROZEN, "language": FROZEN}
    applied = apply_policies(loaded.model, policies, frozen_dtype=None)
    last = full_disk / "epoch-01"
    last.mkdir()
    (last / "model.safetensors").write_bytes(b"whole")
    with pytest.raises(RunDirectoryError, match="no space left"):
        save_checkpoint(loaded, applied, full_disk / "epoch-02", base=str(base), notes={})
    assert (last / "model.safetensors").read_bytes() == b"whole"
    assert not (full_disk / "epoch-02").exists()
