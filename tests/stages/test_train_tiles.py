"""Images of several tiles, and InternVL in its original layout, through training and scoring."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.models.tiny_auto import write_llava
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_original import write_tiny_original
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import TrainingError
from nameplate.models.internvl.processing import InternVLProcessor
from nameplate.models.load import load_model
from nameplate.models.processors import load_processor
from nameplate.names import build_registry
from nameplate.progress import SilentProgress
from nameplate.recipe import ComponentPolicy, MemorySection, ModelSection, OptimizerSection, ScoreSection, TrainSection
from nameplate.stages.score import run_scoring
from nameplate.stages.train import run_training, stage
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary, TrainSummary

FULL, FROZEN = ComponentPolicy(mode="full", lr=3e-3), ComponentPolicy()

pytestmark = pytest.mark.usefixtures("one_thread")


def write_run(root: Path) -> RunDirectory:
    """Every third image is a wide one, so that batches hold images of different numbers of tiles."""
    run = write_tiny_run(root, train=9, validation=3, test=3)
    path = next(run.folder("split").glob("part-*.parquet"))
    rows = pq.read_table(path)
    hashes = rows["image_sha256"].to_pylist()
    for place in range(0, len(hashes), 3):
        stream = io.BytesIO()
        Image.new("RGB", (70, 30), (place * 9, 90, 200)).save(stream, "PNG")
        hashes[place] = run.images.put(stream.getvalue(), "png")
    column = rows.column_names.index("image_sha256")
    pq.write_table(rows.set_column(column, rows.schema.field(column), [hashes]), path)
    return run


def train(run: RunDirectory, base: Path, *, max_tiles: int, vision: ComponentPolicy = FULL) -> TrainSummary:
    section = TrainSection(
        vision=vision,
        projector=FULL,
        language=FULL,
        epochs=2,
        checkpoint_every_epochs=2,
        batch_size=4,
        memory=MemorySection(micro_batch_size=4),
        optimizer=OptimizerSection(warmup_share=0.0),
    )
    return run_training(
        section, model_section=ModelSection(base=str(base), max_tiles=max_tiles), run=run, progress=SilentProgress()
    )


def score(run: RunDirectory, base: Path, *, max_tiles: int) -> ScoreSummary:
    return run_scoring(
        ScoreSection(prompts=("name",), batch_size=4, max_new_tokens=4),
        model_section=ModelSection(base=str(base), max_tiles=max_tiles),
        run=run,
        registry=build_registry({"Acme": 10, "Zeta": 10}),
        progress=SilentProgress(),
    )


@pytest.mark.parametrize("layout", ["native", "original"])
def test_several_tiles_train_and_score(tmp_path: Path, layout: str) -> None:
    base = tmp_path / "base"
    write_tiny_model(base) if layout == "native" else write_tiny_original(base)
    run = write_run(tmp_path / "run")
    summary = train(run, base, max_tiles=4)
    assert summary.losses[-1][1] < summary.losses[0][1]
    saved = load_processor(run.checkpoints / "epoch-02")
    assert isinstance(saved, InternVLProcessor)
    assert saved.contract.max_tiles == 4
    scores = score(run, base, max_tiles=4)
    assert scores.checkpoints[1].loss["test"] < scores.checkpoints[0].loss["test"]


def test_another_family_trains_and_scores(tmp_path: Path) -> None:
    """Its images go through its own processor, and its features are looked at anew for every prompt."""
    base = write_llava(tmp_path / "base")
    run = write_run(tmp_path / "run")
    summary = train(run, base, max_tiles=1)
    assert summary.losses[-1][1] < summary.losses[0][1]
    scores = score(run, base, max_tiles=1)
    assert scores.checkpoints[1].loss["test"] < scores.checkpoints[0].loss["test"]


def test_tiles_change_what_is_learned_and_kept_features_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_tiny_model(tmp_path / "base")
    one = train(write_run(tmp_path / "one"), base, max_tiles=1, vision=FROZEN)
    kept = train(write_run(tmp_path / "kept"), base, max_tiles=4, vision=FROZEN)
    monkeypatch.setattr(stage, "frozen_prefix", lambda *_, **__: None)
    pixels = train(write_run(tmp_path / "pixels"), base, max_tiles=4, vision=FROZEN)
    assert pixels.losses == kept.losses != one.losses


def test_an_image_of_too_many_tiles_is_refused_and_never_cut(tmp_path: Path) -> None:
    """Other tools cut in the middle of the image's tokens and die in the first step."""
    base = write_tiny_model(tmp_path / "base")
    loaded = load_model(str(base))
    loaded.model.config.get_text_config().max_position_embeddings = 40
    loaded.model.save_pretrained(base)
    with pytest.raises(TrainingError, match=r"examples are longer than the model's 40 tokens; lower model\.max_tiles"):
        train(write_run(tmp_path / "run"), base, max_tiles=4)
