"""Where the numbers come from: versions, time and memory of each stage, and how to get them again."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import pyarrow.parquet as pq

from nameplate.records import STAGES, StageName
from nameplate.store.rundir import RunDirectory
from nameplate.summary import RunSummary

PACKAGES: Final = ("torch", "transformers", "peft", "accelerate", "pyarrow", "pillow")


@dataclass(frozen=True)
class StageCost:
    """What one stage took."""

    stage: StageName
    read: int
    kept: int
    seconds: float
    peak_memory_bytes: int
    figures: tuple[str, ...]
    """The stage's own figures, as `name: value`; only plain values."""


@dataclass(frozen=True)
class Provenance:
    """All that is needed to do it again."""

    command: str
    recipe_yaml: str
    questions: tuple[tuple[str, str], ...]
    """What was asked, by its name, in full."""
    identities: tuple[tuple[str, str], ...]
    """What was judged, and by what: (what, fingerprint)."""
    versions: tuple[tuple[str, str], ...]
    machine: str
    stages: tuple[StageCost, ...]
    seconds: float
    peak_memory_bytes: int


def build_provenance(summary: RunSummary, run: RunDirectory, *, recipe_yaml: str, command: str) -> Provenance:
    """Collect it from the run and from this Python; versions are those of the moment the page is written."""
    stages = tuple(_cost(summary, stage) for stage in STAGES if stage in summary.stages)
    return Provenance(
        command=command,
        recipe_yaml=recipe_yaml,
        questions=tuple(summary.score.questions.items()),
        identities=tuple(_identities(summary, run)),
        versions=(("nameplate", summary.nameplate), ("Python", platform.python_version()), *_installed()),
        machine=f"{platform.system()} {platform.machine()}",
        stages=stages,
        seconds=sum(stage.seconds for stage in stages),
        peak_memory_bytes=max((stage.peak_memory_bytes for stage in stages), default=0),
    )


def _identities(summary: RunSummary, run: RunDirectory) -> Iterator[tuple[str, str]]:
    """Two runs with the same of these were asked the same, about the same images, and judged alike."""
    score = summary.score
    if score.matcher:
        yield "names and rules of judging", score.matcher
    if score.looks is not None:
        yield "test set", score.looks.test_set
    for stage in ("ingest", "split"):
        if stage in run.manifest.stages:
            yield f"rows after {stage}", run.manifest.stages[stage].fingerprint
    yield from _answerers(run)


def _answerers(run: RunDirectory) -> Iterator[tuple[str, str]]:
    """Weights of every model with what computed its answers; nothing in predictions of older versions."""
    path = run.folder("score") / "predictions.parquet"
    columns = ["checkpoint", "weights", "engine"]
    if not path.exists() or not set(columns) <= set(pq.read_schema(path).names):
        return
    models = pq.read_table(path, columns=columns).group_by(columns, use_threads=False).aggregate([])
    for model in models.to_pylist():
        yield f"weights of {model['checkpoint']}, answered by {model['engine']}", model["weights"]


def _cost(summary: RunSummary, stage: StageName) -> StageCost:
    row = summary.stages[stage]
    figures = tuple(
        f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in row.details.items() if _shown(value)
    )
    return StageCost(stage, row.read, row.kept, row.seconds, row.peak_memory_bytes, figures)


def _shown(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def _plain(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def _installed() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            found.append((package, "not installed"))
    return found
