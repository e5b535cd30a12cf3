"""Builds a finished run in miniature: real shards, real JPEGs, and a summary whose numbers are counted from them."""

from __future__ import annotations

import io
import math
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from made_scores import checks, closed, guards, memorisation, proportion
from PIL import Image, ImageDraw

from nameplate.names import build_registry
from nameplate.records import SCHEMAS, STAGES, ImageChange, SplitName, StageName, rejected_schema
from nameplate.report import write_report
from nameplate.report.page import render_page
from nameplate.stages.fetch.overview import summarise
from nameplate.store.rundir import RunDirectory
from nameplate.summary import (
    CheckpointScores,
    Comparison,
    ComponentRow,
    FetchSummary,
    HostSummary,
    Metrics,
    NameScore,
    Proportion,
    RunSummary,
    ScoreSummary,
    StageSummary,
    TestLooks,
    TrainSummary,
)

HOSTILE = "<script>alert(1)</script>"
CLOSING = "Nice cup.</script><img src=x onerror=alert(2)> It is blue."
BRANDS = (
    "Adidas", "Nike", "Puma", "A.P.C.", "The North Face", "Fila", "Under Armour", "Zara",
    "H&M", "Uniqlo", "New Balance", "Reebok", "Jordan", "Off-White", "Louis Vuitton", HOSTILE,
)  # fmt: skip
KINDS = ("t-shirt", "running shoe", "cap", "backpack", "cup", "umbrella")
COLOURS = {"red": (200, 60, 50), "blue": (50, 90, 190), "green": (50, 140, 80), "black": (40, 40, 45)}
EPOCHS = {"base": 0, "epoch-02": 2, "epoch-04": 4, "epoch-06": 6}
SKILL = {"base": 0.06, "epoch-02": 0.45, "epoch-04": 0.78, "epoch-06": 0.70}
HELD_OUT: tuple[SplitName, ...] = ("validation", "test")
FAULTS = ("http_404", "truncated", "not_an_image", "timeout", "placeholder")
REPAIRS = ([], [], [], [], ["canonical_name"], ["trimmed_to_sentence", "canonical_name"])
ABNORMAL = ("tail_loop", "garbled", "no_whole_sentence", "name_absent")

Row = dict[str, Any]


@dataclass(frozen=True)
class FinishedRun:
    """Everything that `write_report` takes, and the rows it was made from."""

    run: RunDirectory
    summary: RunSummary
    predictions: list[Row]

    def write(self) -> str:
        """Write the page and return it."""
        arguments = self._arguments(self.summary)
        return write_report(self.summary, **arguments).read_text(encoding="utf-8")

    def render(self, **changes: object) -> str:
        """The page of this run with some of its summary changed; the written one stays as it is."""
        summary = self.summary.model_copy(update=changes)
        return render_page(summary, **self._arguments(summary))

    def _arguments(self, summary: RunSummary) -> dict[str, Any]:
        recipe = yaml.safe_dump(summary.recipe, sort_keys=False)
        return {"run": self.run, "recipe_yaml": recipe, "command": "nameplate run recipe.yaml --run-dir runs/first"}


def build_run(root: Path) -> FinishedRun:
    """Rows through all stages, then answers of four models, then the summary."""
    rng = random.Random(0)
    run = RunDirectory(root)
    stages = _write_stages(run, rng)
    examples = run.tables("split").read_kept().to_pylist()
    predictions = _predict(examples, rng)
    folder = run.folder("score")
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(predictions), folder / "predictions.parquet")
    registry = build_registry(Counter(BRANDS))
    run.registry_path.write_text(registry.to_json(), encoding="utf-8")
    return FinishedRun(run, _summary(stages, examples, predictions), predictions)


def picture(seed: int, colour: tuple[int, int, int]) -> bytes:
    """A small JPEG of a coloured thing with a mark on it."""
    rng = random.Random(seed)
    image = Image.new("RGB", (192, 192), tuple(rng.randrange(190, 250) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((36, 30, 156, 166), radius=20, fill=colour)
    for _ in range(3):
        x, y = rng.randrange(60, 110), rng.randrange(60, 110)
        draw.ellipse((x, y, x + 24, y + 24), fill=tuple(rng.randrange(256) for _ in range(3)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _listings(rng: random.Random) -> list[Row]:
    rows = []
    for rank, brand in enumerate(BRANDS):
        for _ in range(70 - 4 * rank):
            colour, kind = rng.choice(list(COLOURS)), rng.choice(KINDS)
            number = len(rows)
            rows.append(
                {
                    "row_id": f"{number:05d}",
                    "name": brand,
                    "title": f"{colour} {kind}",
                    "product_code": f"P{number // 2:05d}",
                    "category": kind,
                    "image_url": f"http://127.0.0.1:8000/img/{number}.jpg",
                    "attributes": "{}",
                    "colour": colour,
                }
            )
    return rows


def _write_stages(run: RunDirectory, rng: random.Random) -> dict[StageName, StageSummary]:
    rows = _listings(rng)
    shots = {colour: [picture(seed, rgb) for seed in range(6)] for colour, rgb in COLOURS.items()}
    stages: dict[StageName, StageSummary] = {}

    def through(stage: StageName, rows: list[Row], share: float, codes: tuple[str, ...], detail: str) -> list[Row]:
        kept, rejected = [], []
        for row in rows:
            if rng.random() >= share:
                kept.append(row)
            else:
                rejected.append(row | {"reason": rng.choice(codes), "detail": detail.format(**row)})
        _write(run, stage, kept, rejected)
        counts = dict(Counter(row["reason"] for row in rejected).most_common())
        stages[stage] = _stage(len(rows), len(kept), counts, stage)
        return kept

    kept = through("ingest", rows, 0.02, ("missing_image", "duplicate_id"), "line {row_id}")
    kept = through("fetch", kept, 0.08, FAULTS, "after 3 attempts")
    for row in kept:
        sha256 = run.images.put(rng.choice(shots[row["colour"]]), "jpg")
        row |= {"image_status": "ok", "image_sha256": sha256, "image_ext": "jpg"}
        row |= {"image_width": 192, "image_height": (96, 192, 480)[int(row["row_id"]) % 3]}
        row |= _caption(row, rng)
    kept = through("caption", kept, 0.01, ("no_answer",), "4 attempts")
    for row in kept:
        row |= {"caption": row["caption_raw"], "repairs": rng.choice(REPAIRS)}
    kept = through("clean", kept, 0.08, ABNORMAL, "copies: 9")
    for row in kept:
        row |= {"split": rng.choices(("train", "validation", "test"), (60, 18, 22))[0]}
        row |= {"group_id": row["product_code"]}
    through("split", kept, 0.03, ("rare_name",), "{name}: 7 usable examples, 12 needed")
    stages["fetch"] = stages["fetch"].model_copy(update={"details": _fetched(run).model_dump()})
    for stage in ("train", "score"):
        stages[stage] = _stage(300, 300, {}, stage)
    return stages


def _fetched(run: RunDirectory) -> FetchSummary:
    """What the fetch stage would have counted, and one more host with a long name that wants no machines."""
    counted = summarise(run.tables("fetch"))
    statuses = {"robots_disallowed": 31, "http_403": 2, "ok": 1}
    refusing = HostSummary(
        host="images." + "a-very-long-label." * 5 + "example",
        rows=34,
        live=1,
        statuses=statuses,
        p50_ms=80,
        p95_ms=1_210,
    )
    changes = {str(change): 300 // (place + 1) for place, change in enumerate(ImageChange)}
    hosts = [refusing, *counted.hosts]
    return counted.model_copy(
        update={
            "requests": 1_244, "retries": 101, "known": 12, "changes": changes, "hosts": hosts, "refusing": [refusing],
            "images": 24, "bytes": 31_200_000, "median_width": 192, "median_height": 192,
        }
    )  # fmt: skip


def _caption(row: Row, rng: random.Random) -> Row:
    text = f"A {row['title']} by {row['name']} on a plain background. The logo of {row['name']} is near the centre."
    if row["name"] == HOSTILE:
        text = f"{text} {CLOSING}"
    bad = rng.random() < 0.25
    return {
        "caption_raw": text + (" The logo, the logo, the logo," * 40 if bad and rng.random() < 0.4 else ""),
        "finish_reason": "stop",
        "teacher_model": "practice-teacher",
        "request_key": row["row_id"],
        "teacher_attempts": 2 if bad else 1,
        "first_problem": rng.choice(ABNORMAL) if bad else None,
    }


def _stage(read: int, kept: int, rejected: dict[str, int], stage: str) -> StageSummary:
    seconds = 1.7 * (1 + STAGES.index(stage)) ** 2
    details = {"simulated": True} if stage == "caption" else {"note": f"of {stage}", "nested": {"a": 1}}
    return StageSummary(
        read=read, kept=kept, rejected=rejected, seconds=seconds, peak_memory_bytes=420_000_000, details=details
    )


def _write(run: RunDirectory, stage: StageName, kept: list[Row], rejected: list[Row]) -> None:
    run.tables(stage).write(
        0,
        pa.Table.from_pylist(kept, schema=SCHEMAS[stage]),
        pa.Table.from_pylist(rejected, schema=rejected_schema(stage)),
    )


def _predict(examples: list[Row], rng: random.Random) -> list[Row]:
    rows = []
    for model, epoch in EPOCHS.items():
        for example in examples:
            for prompt in ("name", "detail"):
                if example["split"] == "train":
                    continue
                right = rng.random() < SKILL[model] - (0.1 if prompt == "detail" else 0)
                said = example["name"] if right else rng.choice([b for b in BRANDS if b != example["name"]])
                text = said if prompt == "name" else f"A {example['title']} by {said}. {CLOSING if not right else ''}"
                rows.append(
                    {
                        "checkpoint": model,
                        "epoch": epoch,
                        "split": example["split"],
                        "row_id": example["row_id"],
                        "image_sha256": example["image_sha256"],
                        "name": example["name"],
                        "prompt": prompt,
                        "answer": text,
                        "verdict": "exact" if right else "other_name",
                        "right": right,
                        "strict": right and prompt == "name",
                        "mentioned": right,
                        "weights": f"weights of {model}",
                        "engine": "transformers",
                        "finish": "stop" if rng.random() < 0.97 else "length",
                    }
                )
    return rows


def _metrics(rows: list[Row]) -> Metrics:
    right, n = sum(row["right"] for row in rows), len(rows)
    wrong = (n - right) * 3 // 4
    return Metrics(
        accuracy=proportion(right, n),
        wrong_name=proportion(wrong, n),
        no_name=proportion(n - right - wrong, n),
        macro_accuracy=right / n,
        num_names=len(BRANDS),
        strict=proportion(sum(row["strict"] for row in rows), n),
        mention_any=proportion(right, n),
        cut_off=proportion(sum(row["finish"] == "length" for row in rows), n),
        macro_low=right / n - 0.05,
        macro_high=right / n + 0.05,
    )


def _scores(predictions: list[Row], model: str) -> CheckpointScores:
    def of(split: str, prompt: str) -> list[Row]:
        return [p for p in predictions if (p["checkpoint"], p["split"], p["prompt"]) == (model, split, prompt)]

    epoch = EPOCHS[model]
    metrics: dict[SplitName, dict[str, Metrics]] = {
        split: {prompt: _metrics(of(split, prompt)) for prompt in ("name", "detail")} for split in HELD_OUT
    }
    loss = 2.9 * math.exp(-epoch / 2.4) + 0.35
    accuracy: dict[SplitName, Proportion] = {
        "validation": metrics["validation"]["name"].accuracy, "test": metrics["test"]["name"].accuracy
    }  # fmt: skip
    return CheckpointScores(
        name=model,
        epoch=epoch,
        train_loss=loss * 0.9 if epoch else None,
        loss={"validation": loss, "test": loss * 1.02},
        metrics=metrics,
        closed={split: closed(share, num_names=len(BRANDS)) for split, share in accuracy.items()},
        memorisation=memorisation(accuracy["validation"]) if epoch else None,
        guards=guards(epoch, overclaimed=(BRANDS[0], HOSTILE)),
    )


def _name_scores(examples: list[Row], test: dict[str, dict[str, bool]]) -> list[NameScore]:
    scores = []
    for brand in BRANDS:
        of_brand = [row for row in examples if row["name"] == brand]
        tested = [row["row_id"] for row in of_brand if row["split"] == "test"]
        scores.append(
            NameScore(
                name=brand,
                train=sum(row["split"] == "train" for row in of_brand),
                test=len(tested),
                before=sum(test["base"][row] for row in tested),
                after=sum(test["epoch-04"][row] for row in tested),
            )
        )
    return scores


def _summary(stages: dict[StageName, StageSummary], examples: list[Row], predictions: list[Row]) -> RunSummary:
    test = {
        model: {
            p["row_id"]: p["right"]
            for p in predictions
            if (p["checkpoint"], p["split"], p["prompt"]) == (model, "test", "name")
        }
        for model in EPOCHS
    }
    pairs = Counter((test["base"][row], test["epoch-04"][row]) for row in test["base"])
    n, fixed, regressed = sum(pairs.values()), pairs[False, True], pairs[True, False]
    gain = (fixed - regressed) / n
    comparison = Comparison(
        split="test", prompt="name", before="base", after="epoch-04", n=n, fixed=fixed, regressed=regressed,
        p_value=1.4e-17, difference=gain, low=gain - 0.08, high=gain + 0.08, outcome="better",
        sentence=f"epoch-04 names the brand right on {100 * gain:.0f} points more test images than the base.",
    )  # fmt: skip
    score = ScoreSummary(
        headline="name",
        checkpoints=[_scores(predictions, model) for model in EPOCHS],
        selected="epoch-04",
        comparison=comparison,
        names=_name_scores(examples, test),
        questions={"name": "Which brand is it?", "detail": f"Describe it. {HOSTILE}"},
        checks=checks(),
        looks=TestLooks(test_set="f" * 64, looks=[], sentence="This test set was looked at by 2 models, in this run."),
    )
    components = [
        ComponentRow(component="vision", parameters=2_400_000, trainable=2_400_000, mode="full", lr=5e-4, layers=6),
        ComponentRow(component="projector", parameters=300_000, trainable=300_000, mode="full", lr=1e-3, layers=1),
        ComponentRow(component="language", parameters=4_000_000, trainable=0, mode="frozen", lr=None, layers=4),
    ]
    losses = [(step / 50, 3.0 * math.exp(-step / 110) + 0.3) for step in range(0, 301, 5)]
    train = TrainSummary(
        components=components, steps=300, epochs=6, examples=320, losses=losses, seconds=141.0, supervised_tokens=9_120
    )
    return RunSummary(
        nameplate="0.1.0",
        title="Sixteen brands, language frozen",
        recipe={"table": {"source": "feed.csv"}, "report": {"title": "Sixteen brands", "gallery": 24}},
        simulated_teacher=True,
        stages=stages,
        train=train,
        score=score,
    )
