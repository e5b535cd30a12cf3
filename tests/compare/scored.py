"""Scored runs in miniature: real tables, real pictures, and answers that a test decides."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from nameplate.names import Matcher, Registry, build_registry, is_mentioned, is_right, is_strict
from nameplate.records import COMPONENTS, SCHEMAS, rejected_schema
from nameplate.stages.probe import ProbeSummary
from nameplate.stages.score.results import PREDICTIONS
from nameplate.stages.train.results import write_training
from nameplate.statistics import wilson
from nameplate.store.files import write_json, write_text
from nameplate.store.manifest import StageRecord
from nameplate.store.rundir import RunDirectory
from nameplate.summary import (
    CheckpointScores,
    Comparison,
    ComponentRow,
    Metrics,
    Proportion,
    ScoreSummary,
    TrainSummary,
)

NAMES = ("Acme", "Zeta", "Nike", "Puma")
REGISTRY = build_registry(dict.fromkeys(NAMES, 10))
QUESTION = "Which brand is this product?"

OLD_COLUMNS = (
    "checkpoint", "epoch", "split", "row_id", "image_sha256", "name", "prompt", "answer", "verdict", "right",
)  # fmt: skip
"""Of predictions, before answers said how they ended."""

Answers = Mapping[str, Sequence[str]]
"""By checkpoint, the answer to each row."""


def true_names(num_rows: int) -> list[str]:
    """Names in turn."""
    return [NAMES[place % len(NAMES)] for place in range(num_rows)]


def said(right: str, names: Sequence[str]) -> list[str]:
    """Answers from a pattern: "x" where the row is right, anything else where another name is said."""
    return [
        name if mark == "x" else NAMES[(NAMES.index(name) + 1) % len(NAMES)]
        for mark, name in zip(right, names, strict=True)
    ]


def scored_run(
    root: Path,
    answers: Answers,
    *,
    names: Sequence[str],
    row_ids: Sequence[str] | None = None,
    products: Sequence[str] | None = None,
    split: str = "test",
    registry: Registry = REGISTRY,
    shade: int = 0,
    headline: str = "name",
    question: str = QUESTION,
    selected: str = "epoch-05",
    engine: str | None = "transformers",
    finish: str = "stop",
) -> Path:
    """A run whose checkpoints gave these answers on one split.

    Args:
        root: of the run.
        answers: of each checkpoint, one for each row.
        names: true name of each row.
        row_ids: of the rows; none: their places.
        products: the group of each row; none: every row is its own.
        split: where the rows are.
        registry: by which the answers are judged.
        shade: other pictures for the same rows.
        headline: the question that decides.
        question: its wording.
        selected: the chosen checkpoint.
        engine: what answered; none: a run of a version that did not say.
        finish: how the first row's answers ended.
    """
    run = RunDirectory(root)
    ids = row_ids or [f"{place:04d}" for place in range(len(names))]
    shas = [run.images.put(_picture(int(row_id) % 200, shade), "png") for row_id in ids]
    rows = [
        {"row_id": row_id, "name": name, "title": f"thing {row_id}", "image_sha256": sha, "image_ext": "png"}
        | {"split": split, "group_id": products[place] if products else f"g{row_id}"}
        for place, (row_id, name, sha) in enumerate(zip(ids, names, shas, strict=True))
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["split"])
    run.tables("split").write(0, table, pa.Table.from_pylist([], schema=rejected_schema("split")))
    write_json(root / "manifest.json", {"version": 1, "stages": {}})
    (root / "recipe.yaml").write_text(yaml.safe_dump({"score": {"max_new_tokens": 96}}), encoding="utf-8")
    run.registry_path.parent.mkdir(parents=True)
    run.registry_path.write_text(registry.to_json(), encoding="utf-8")
    predictions = [
        prediction
        for epoch, (checkpoint, texts) in enumerate(answers.items())
        for prediction in _predictions(checkpoint, epoch, texts, rows, Matcher(registry), split, headline)
    ]
    (root / "score").mkdir()
    schema = PREDICTIONS if engine is not None else pa.schema([PREDICTIONS.field(name) for name in OLD_COLUMNS])
    for place, prediction in enumerate(predictions):
        prediction |= {"engine": engine, "finish": finish if place % len(rows) == 0 else "stop"}
    pq.write_table(pa.Table.from_pylist(predictions, schema=schema), root / "score" / "predictions.parquet")
    scores = _scores(answers, predictions, split=split, headline=headline, question=question, selected=selected)
    scores = scores.model_copy(update={"matcher": Matcher(registry).fingerprint})
    (root / "score" / "scores.json").write_text(scores.model_dump_json(), encoding="utf-8")
    return root


def _picture(number: int, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (number, 255 - number, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def _predictions(
    checkpoint: str,
    epoch: int,
    texts: Sequence[str],
    rows: Sequence[dict[str, str]],
    matcher: Matcher,
    split: str,
    prompt: str,
) -> list[dict[str, object]]:
    judged = [matcher.judge(text, row["name"]) for text, row in zip(texts, rows, strict=True)]
    return [
        {
            "checkpoint": checkpoint, "epoch": epoch, "split": split, "row_id": row["row_id"],
            "image_sha256": row["image_sha256"], "name": row["name"], "prompt": prompt, "answer": text,
            "verdict": judgement.verdict.value, "right": is_right(judgement),
            "strict": is_strict(text, row["name"], matcher), "mentioned": is_mentioned(judgement),
            "weights": checkpoint,
        }
        for text, row, judgement in zip(texts, rows, judged, strict=True)
    ]  # fmt: skip


def _scores(
    answers: Answers,
    predictions: Sequence[dict[str, object]],
    *,
    split: str,
    headline: str,
    question: str,
    selected: str,
) -> ScoreSummary:
    def proportion(count: int, n: int) -> Proportion:
        share = wilson(count, n)
        return Proportion(count=count, n=n, value=share.value, low=share.low, high=share.high)

    def metrics(checkpoint: str) -> Metrics:
        right = [bool(each["right"]) for each in predictions if each["checkpoint"] == checkpoint]
        n = len(right)
        return Metrics(
            accuracy=proportion(sum(right), n),
            wrong_name=proportion(n - sum(right), n),
            no_name=proportion(0, n),
            macro_accuracy=0.5,
            num_names=len(NAMES),
        )

    comparison = Comparison(
        split="test", prompt=headline, before="base", after=selected, n=1, fixed=0, regressed=0, p_value=1.0,
        difference=0.0, low=0.0, high=0.0, outcome="tie", sentence="",
    )  # fmt: skip
    checkpoints = [
        CheckpointScores(
            name=name,
            epoch=epoch,
            train_loss=None,
            loss={},
            metrics={split: {headline: metrics(name)}},  # type: ignore[dict-item]  # a plain str here
        )
        for epoch, name in enumerate(answers)
    ]
    return ScoreSummary(
        headline=headline,
        checkpoints=checkpoints,
        selected=selected,
        comparison=comparison,
        names=[],
        questions={headline: question},
    )


def trained(
    root: Path,
    *components: str,
    split: str = "one",
    base: str = "starter",
    settings: Mapping[str, object] | None = None,
) -> Path:
    """A scored run that also says which components learned, from which base, on which split."""
    parts = [
        ComponentRow(
            component=component,
            parameters=1000,
            trainable=1000 * (component in components),
            mode="full" if component in components else "frozen",
            lr=1e-4 if component in components else None,
            layers=2,
        )
        for component in COMPONENTS
    ]
    training = TrainSummary(
        components=parts, steps=10, epochs=2, examples=100, losses=[], seconds=75.0, supervised_tokens=900
    )
    run = RunDirectory(root)
    write_training(run, training)
    run.manifest.put("split", StageRecord(fingerprint=split, status="done"))
    run.manifest.put("train", StageRecord(fingerprint="t", status="done", peak_memory_bytes=3_000_000_000))
    tree: dict[str, dict[str, object]] = {"model": {"base": base}, "score": {"max_new_tokens": 96}}
    for field, value in (settings or {}).items():
        section, _, name = field.partition(".")
        tree[section][name] = value
    (root / "recipe.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return root


def probed(root: Path, found: ProbeSummary) -> Path:
    """A run that was probed, with this result."""
    write_text(RunDirectory(root).probe_path, found.model_dump_json())
    return root
