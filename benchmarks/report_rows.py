"""A scored run of any size for `report.py`: rows, photographs and the answers of many models, all made up."""

from __future__ import annotations

import io
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

sys.path.append(str(Path(__file__).parents[1]))

from tests.data.captions.grammar import make_good

from nameplate.names import build_registry
from nameplate.records import SCHEMAS, StageName, rejected_schema
from nameplate.statistics import compare_pairs, wilson
from nameplate.store.rundir import RunDirectory
from nameplate.summary import (
    CheckpointScores,
    Comparison,
    ComponentRow,
    Metrics,
    NameScore,
    Proportion,
    RunSummary,
    ScoreSummary,
    StageSummary,
    TrainSummary,
)  # fmt: skip

PHOTO_SIDE = 1_000
QUESTIONS = ("name", "detail")
STAGES: tuple[StageName, ...] = ("ingest", "fetch", "caption", "clean", "split")
HELD_OUT = ("validation", "test")
Row = dict[str, Any]


class MadeUp(NamedTuple):
    """A run and its summary, ready to be shown."""

    run: RunDirectory
    summary: RunSummary


def make_run(folder: Path, *, num_images: int, num_checkpoints: int, num_names: int) -> MadeUp:
    """So many test images and as many validation images, each asked both questions by the base and all checkpoints."""
    rng = random.Random(0)
    run = RunDirectory(folder)
    names = [f"Maker {number:03d}" for number in range(num_names)]
    rows = list(_rows(run, rng, names, num_images))
    for stage in STAGES:
        table = pa.Table.from_pylist(rows, schema=SCHEMAS[stage])
        run.tables(stage).write(0, table, rejected_schema(stage).empty_table())
    run.registry_path.write_text(build_registry(dict.fromkeys(names, 9)).to_json(), encoding="utf-8")
    models = ["base", *(f"epoch-{epoch:02d}" for epoch in range(1, num_checkpoints + 1))]
    predictions = _predictions(rng, rows, names, models)
    run.folder("score").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(predictions), run.folder("score") / "predictions.parquet")
    return MadeUp(run, _summary(rows, predictions, models))


def _rows(run: RunDirectory, rng: random.Random, names: Sequence[str], num_images: int) -> Any:
    paint = np.random.default_rng(0)
    scenes = [_scene(paint) for _ in range(4)]
    captions = make_good(2 * num_images, language="en")
    for place in range(2 * num_images):
        name = rng.choice(names)
        sha256 = run.images.put(_photo(paint, scenes[place % len(scenes)]), "jpg")
        caption = f"{captions[place]} It is by {name}."
        yield {
            "row_id": f"{place:06d}", "name": name, "title": caption[:40],
            "category": rng.choice(("cup", "cap", "bag")),
            "product_code": f"p{place}", "image_url": f"http://127.0.0.1/{place}.jpg", "attributes": "{}",
            "image_status": "ok", "image_sha256": sha256, "image_ext": "jpg", "image_width": PHOTO_SIDE,
            "image_height": PHOTO_SIDE, "caption_raw": caption, "finish_reason": "stop", "teacher_model": "made up",
            "request_key": str(place), "teacher_attempts": 1, "caption": caption, "repairs": [],
            "split": HELD_OUT[place % 2], "group_id": f"p{place}",
        }  # fmt: skip


def _scene(paint: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Noise at all scales, as photographs have it: large shapes strong, grain faint."""
    side = 2 * PHOTO_SIDE
    scene = np.full((side, side, 3), 128.0)
    for cells, strength in ((5, 90), (25, 40), (120, 16), (500, 7), (side, 3)):
        layer = paint.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        scaled = Image.fromarray(layer).resize((side, side), Image.Resampling.BICUBIC)
        scene += (np.asarray(scaled, dtype=np.float64) - 128) * strength / 64
    return scene.clip(0, 255).astype(np.uint8)


def _photo(paint: np.random.Generator, scene: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    y, x = paint.integers(0, PHOTO_SIDE, 2)
    buffer = io.BytesIO()
    Image.fromarray(scene[y : y + PHOTO_SIDE, x : x + PHOTO_SIDE]).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _predictions(rng: random.Random, rows: Sequence[Row], names: Sequence[str], models: Sequence[str]) -> list[Row]:
    captions = make_good(4_000, language="en", seed=1)
    found = []
    for place, model in enumerate(models):
        skill = 0.05 + 0.8 * place / len(models)
        for row in rows:
            for question in QUESTIONS:
                right = rng.random() < skill
                said = row["name"] if right else rng.choice([name for name in names[:20] if name != row["name"]])
                found.append({
                    "checkpoint": model, "epoch": place, "split": row["split"], "row_id": row["row_id"],
                    "image_sha256": row["image_sha256"], "name": row["name"], "prompt": question,
                    "answer": said if question == "name" else f"{rng.choice(captions)} It is by {said}.",
                    "verdict": "exact" if right else "other_name", "right": right, "strict": right,
                    "mentioned": right, "finish": "stop",
                })  # fmt: skip
    return found


def _share(flags: Sequence[bool]) -> Proportion:
    share = wilson(sum(flags), len(flags))
    return Proportion(count=share.count, n=share.n, value=share.value, low=share.low, high=share.high)


def _metrics(right: Sequence[bool]) -> Metrics:
    none = [False] * len(right)
    accuracy = _share(right)
    return Metrics(
        accuracy=accuracy, wrong_name=_share([not each for each in right]), no_name=_share(none),
        macro_accuracy=accuracy.value, num_names=1,
    )  # fmt: skip


def _summary(rows: Sequence[Row], predictions: Sequence[Row], models: Sequence[str]) -> RunSummary:
    right: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for row in predictions:
        right[row["checkpoint"], row["split"], row["prompt"]].append(row["right"])
    checkpoints = [
        CheckpointScores(
            name=model, epoch=place, train_loss=2.0 / place if place else None, loss={"validation": 2.1 / (1 + place)},
            metrics={split: {ask: _metrics(right[model, split, ask]) for ask in QUESTIONS} for split in HELD_OUT},
        )
        for place, model in enumerate(models)
    ]  # fmt: skip
    last = models[-1]
    found = compare_pairs(right["base", "test", "name"], right[last, "test", "name"])
    comparison = Comparison(
        split="test", prompt="name", before="base", after=last, n=found.n, fixed=found.fixed,
        regressed=found.regressed, p_value=found.p_value, difference=found.difference, low=found.low, high=found.high,
        outcome=found.outcome(), sentence="A made-up comparison.",
    )  # fmt: skip
    names = [NameScore(name=name, train=9, test=1, before=0, after=1) for name in {row["name"] for row in rows}]
    parts = [ComponentRow(component="language", parameters=9, trainable=9, mode="full", lr=1e-4, layers=1)]
    stage = StageSummary(read=len(rows), kept=len(rows), rejected={}, seconds=1.0, peak_memory_bytes=0, details={})
    return RunSummary(
        nameplate="0", title="Made up", recipe={}, simulated_teacher=False, stages=dict.fromkeys(STAGES, stage),
        train=TrainSummary(components=parts, steps=1, epochs=1, examples=1, losses=[(1.0, 1.0)], seconds=1.0,
                           supervised_tokens=1),
        score=ScoreSummary(headline="name", checkpoints=checkpoints, selected=last, comparison=comparison, names=names),
    )  # fmt: skip
