"""Who is scored: the base, the checkpoints by epoch, an average last; and folders that are not whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError, ModelError
from nameplate.names import build_registry
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, ScoreSection
from nameplate.stages.score import run_scoring
from nameplate.stages.score.subjects import find_subjects
from nameplate.store.rundir import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_tiny_run(tmp_path / "run")


def save(run: RunDirectory, base: Path, *, epoch: int, **notes: Any) -> Path:
    """A checkpoint whose weights are its own."""
    folder = run.checkpoints / f"epoch-{epoch:02d}"
    shutil.copytree(base, folder)
    weights = load_file(folder / "model.safetensors")
    name = min(weights)
    weights[name] = weights[name] + epoch
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "nameplate.json").write_text(json.dumps({"epoch": epoch, "train_loss": 1.5} | notes))
    return folder


def test_checkpoints_come_by_epoch_and_their_average_last(run: RunDirectory, base: Path) -> None:
    for epoch in (100, 5, 10):
        save(run, base, epoch=epoch)
    (run.checkpoints / ".epoch-15.tmp").mkdir()
    found = find_subjects(str(base), run, average_last=2)
    assert [each.name for each in found] == ["base", "epoch-05", "epoch-10", "epoch-100", "average-2"]
    assert [each.is_average for each in found] == [False] * 4 + [True]
    assert [each.train_loss for each in found] == [None, 1.5, 1.5, 1.5, None]
    # One that was made for another recipe is no candidate.
    assert [each.name for each in find_subjects(str(base), run)][-1] == "epoch-100"
    with pytest.raises(InputError, match=r"score\.average_last: 4 checkpoints to average, and there are 3; lower it"):
        find_subjects(str(base), run, average_last=4)


def cut(name: str, *, to: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:to])

    return damage


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def noted(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "nameplate.json").write_text(text) and None


def sharded(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (without("nameplate.json"), r"epoch-05/nameplate\.json: cannot be read .*; run train again"),
        (cut("nameplate.json", to=9), r"epoch-05/nameplate\.json: cannot be read .*; run train again"),
        (noted("[]"), r"epoch-05/nameplate\.json: not a mapping"),
        (noted('{"train_loss": 1}'), r"epoch-05: its notes are not as training writes them \('epoch'\)"),
        (noted('{"epoch": 5, "train_loss": "low"}'), r"epoch-05: its notes are not as training writes them"),
        (without("config.json"), r"epoch-05/config\.json: cannot be read"),
        (without("model.safetensors"), r"epoch-05: no weights in it \(\.safetensors\); copy it again"),
        (cut("model.safetensors", to=5), r"epoch-05/model\.safetensors: "),
        (cut("model.safetensors", to=5000), r"epoch-05/model\.safetensors: "),
        (sharded, r"epoch-05/model-00002-of-00002\.safetensors: missing"),
    ],
)
def test_half_a_checkpoint_is_named_before_anything_is_asked(
    run: RunDirectory, base: Path, damage: Callable[[Path], None], found: str
) -> None:
    damage(save(run, base, epoch=5))
    save(run, base, epoch=10)
    with pytest.raises(ModelError, match=found):
        run_scoring(
            ScoreSection(),
            model_section=ModelSection(base=str(base)),
            run=run,
            registry=build_registry({"Acme": 1, "Zeta": 1}),
            progress=SilentProgress(),
        )
    # Nothing was asked.
    assert not (run.folder("score") / "predictions.parquet").exists()
