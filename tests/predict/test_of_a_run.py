"""Predicting with a run's checkpoints: the answers of scoring, and every way to name one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError, ModelError
from nameplate.models.closedset import answer_shares
from nameplate.names import build_registry
from nameplate.predict import Inputs, Predicted, find_checkpoint, find_registry, predict
from nameplate.progress import SilentProgress
from nameplate.recipe import ComponentPolicy, Recipe, build_recipe, dump_recipe
from nameplate.stages.score import read_scores, run_scoring
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory

LEARNING = ComponentPolicy(mode="full", lr=1e-2).model_dump(mode="json")
REGISTRY = build_registry({"Acme": 10, "Zeta": 10})

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with two checkpoints, trained, scored and written down as the pipeline does; images of up to 4 tiles."""
    folder = tmp_path_factory.mktemp("predict")
    base = write_tiny_model(folder / "base")
    run = write_tiny_run(folder / "run", train=12, validation=4, test=4)
    recipe = _recipe(base)
    settings = {"model_section": recipe.model, "run": run, "progress": SilentProgress()}
    run_training(recipe.train, **settings)
    run_scoring(recipe.score, registry=REGISTRY, **settings)
    (run.root / "recipe.yaml").write_text(dump_recipe(recipe))
    (run.root / "manifest.json").write_text('{"version": 1, "stages": {}}')
    run.registry_path.write_text(REGISTRY.to_json())
    return run


def _recipe(base: Path) -> Recipe:
    tree = {
        "table": {"source": "feed.csv"},
        "model": {"base": str(base), "max_tiles": 4},
        "train": {
            **dict.fromkeys(("vision", "projector", "language"), LEARNING),
            "epochs": 24,
            "checkpoint_every_epochs": 12,
            "batch_size": 6,
            "memory": {"micro_batch_size": 6},
            "examples": {"name_question_share": 0.7},
        },
        "score": {"max_new_tokens": 12, "batch_size": 4, "test": "all", "train_rows": 0},
    }
    return build_recipe(tree, where="test")


def images_of(run: RunDirectory) -> dict[str, Path]:
    """Kept images by content, those of validation and test."""
    rows = run.tables("split").read_kept().to_pylist()
    return {
        row["image_sha256"]: run.images.path(row["image_sha256"], row["image_ext"])
        for row in rows
        if row["split"] != "train"
    }


def ask(checkpoint: str, paths: list[Path], *, prompt: str) -> list[Predicted]:
    rows: list[Predicted] = []
    asked = find_checkpoint(checkpoint)
    inputs = Inputs([str(path) for path in paths])
    predict(
        asked,
        inputs,
        to=rows.extend,
        prompt=prompt,
        registry=find_registry(None, asked),
        batch_size=4,
        progress=SilentProgress(),
    )
    return rows


@pytest.mark.parametrize("prompt", ["name", "detail"])
@pytest.mark.parametrize("checkpoint", ["", ":base", ":epoch-24", "/checkpoints/epoch-24"])
def test_answers_are_those_of_scoring(scored: RunDirectory, checkpoint: str, prompt: str) -> None:
    name = checkpoint.replace("/checkpoints/", ":").removeprefix(":") or read_scores(scored).selected
    table = pq.read_table(scored.folder("score") / "predictions.parquet").to_pylist()
    expected = {
        row["image_sha256"]: row["answer"] for row in table if (row["checkpoint"], row["prompt"]) == (name, prompt)
    }
    images = images_of(scored)
    rows = ask(f"{scored.root}{checkpoint}", list(images.values()), prompt=prompt)
    assert {sha256: row.answer for sha256, row in zip(images, rows, strict=True)} == expected
    assert len(expected) == 8
    # Of its own run the registry is known.
    assert all(row.verdict for row in rows)
    if checkpoint == "" and prompt == "name":
        named = [row for row in rows if row.name]
        assert named and all(row.name_confidence is not None for row in named)


def test_shares_are_asked_for_the_name_question_alone(scored: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    from nameplate.predict import predictor

    asked: list[list[str]] = []

    def counting(*given: object) -> object:
        asked.append(list(given[3]))  # type: ignore[call-overload]  # the answers
        return answer_shares(*given)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(predictor, "answer_shares", counting)
    images = list(images_of(scored).values())
    ask(str(scored.root), images, prompt="detail")
    assert asked == []
    ask(str(scored.root), images, prompt="name")
    assert asked and asked[0] == ["Acme", "Zeta"]
    monkeypatch.setattr(predictor, "MOST_NAMES", 1)
    asked.clear()
    assert all(row.name_confidence is None for row in ask(str(scored.root), images, prompt="name"))
    assert asked == []


def test_what_a_run_lacks_is_said(scored: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint; expected one of epoch-12, epoch-24, base"):
        find_checkpoint(f"{scored.root}:epoch-07")
    copy = tmp_path / "run"
    shutil.copytree(scored.root, copy, ignore=shutil.ignore_patterns("score", "ingest"))
    with pytest.raises(InputError, match=r"no checkpoint has been chosen; run score first, or name one, such as .*-24"):
        find_checkpoint(str(copy))
    asked = find_checkpoint(f"{copy}:epoch-12")
    with pytest.raises(InputError, match=r"registry\.json: no such registry"):
        find_registry(None, asked)
    with pytest.raises(ModelError, match="expected a run directory, RUN:CHECKPOINT, a model's folder"):
        find_checkpoint(str(tmp_path / "nowhere"))
    # Looking at a run leaves nothing in it.
    assert {path.name for path in copy.iterdir()} == {
        "checkpoints",
        "manifest.json",
        "recipe.yaml",
        "split",
        "store",
        "train",
    }


def test_settings_of_the_run_count_and_can_be_overridden(scored: RunDirectory) -> None:
    asked = find_checkpoint(str(scored.root), ["score.max_new_tokens=3"])
    assert (asked.max_tiles, asked.recipe.score.max_new_tokens) == (4, 3)
    assert find_checkpoint("starter").max_tiles is None
    assert find_checkpoint("starter", ["model.max_tiles=2"]).max_tiles == 2
