"""The whole idea in one command: a shop with bad links, a teacher that misbehaves, two ways to train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from itertools import pairwise
from pathlib import Path
from string import Template

from pydantic import BaseModel, ConfigDict

from nameplate.demo.servers import Addresses, serving
from nameplate.demo.shop import NUM_LISTINGS, build_shop
from nameplate.pipeline import Pipeline
from nameplate.progress import Progress
from nameplate.recipe import load_recipe
from nameplate.stages.score import read_groups, read_right
from nameplate.statistics import compare_pairs
from nameplate.store.files import write_json, write_text
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Proportion, RunSummary

POLICIES = {"language-frozen": "language frozen", "language-lora": "language by LoRA"}
QUICK = (
    "train.epochs=1",
    "train.checkpoint_every_epochs=1",
    "split.min_per_name=4",
    "split.validation=40",
    "split.test=40",
    "score.prompts=[name]",
)
QUICK_LISTINGS = 300


class DemoRow(BaseModel):
    """One model of the demo on the test split."""

    model_config = ConfigDict(frozen=True)

    label: str
    accuracy: Proportion
    p_value: float | None
    """Exact paired test against the row above, on the same images, by product; none for the first."""
    verdict: str


class DemoResult(BaseModel):
    """What the demo found."""

    model_config = ConfigDict(frozen=True)

    seed: int
    quick: bool
    """A small shop and one epoch: the numbers mean nothing."""
    rows: list[DemoRow]
    pages: list[str]


def run_demo(folder: Path, *, seed: int, quick: bool, progress: Progress) -> DemoResult:
    """Build and serve the shop, run both policies, compare them on the same test images.

    Args:
        folder: for the shop, the two runs and what they share; a second call continues what is there.
        seed: of the shop, the split and the training.
        quick: a small shop and one epoch.
        progress: shows how far it is.
    """
    folder = folder.resolve()
    num_listings = QUICK_LISTINGS if quick else NUM_LISTINGS
    with opened_shop(folder, seed=seed, num_listings=num_listings, progress=progress):
        runs = {name: _run_policy(folder, name, quick=quick, progress=progress) for name in POLICIES}
    result = DemoResult(
        seed=seed, quick=quick, rows=_compare(runs), pages=[str(run.report_path) for run in runs.values()]
    )
    write_json(folder / "demo.json", result.model_dump(mode="json"))
    return result


@contextmanager
def opened_shop(folder: Path, *, seed: int, num_listings: int = NUM_LISTINGS, progress: Progress) -> Iterator[None]:
    """Build the demo's shop in `folder`, serve it and its teacher while the block runs, and write its recipes there."""
    build_shop(folder / "shop", seed=seed, num_listings=num_listings, progress=progress)
    with serving(folder / "shop") as addresses:
        _write_recipes(folder, addresses, seed=seed)
        yield


def _write_recipes(folder: Path, addresses: Addresses, *, seed: int) -> None:
    values = {"folder": str(folder), "teacher": f"{addresses.teacher}/v1", "seed": str(seed)}
    for name in ("shop", *POLICIES, "sweep"):
        text = resources.files("nameplate.demo").joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")
        write_text(folder / f"{name}.yaml", Template(text).substitute(values))


def _run_policy(folder: Path, name: str, *, quick: bool, progress: Progress) -> RunDirectory:
    recipe = load_recipe(folder / f"{name}.yaml", QUICK if quick else ())
    assert recipe.store is not None
    run = RunDirectory(folder / "runs" / name, store=Path(recipe.store))
    progress.note(f"-- {POLICIES[name]}")
    Pipeline(recipe, run, progress=progress, command="nameplate demo").run()
    return run


def _compare(runs: dict[str, RunDirectory]) -> list[DemoRow]:
    summaries = {name: RunSummary.model_validate_json(run.summary_path.read_bytes()) for name, run in runs.items()}
    first = next(iter(runs))
    models = [("untrained", first, "base")] + [(POLICIES[name], name, summaries[name].score.selected) for name in runs]
    answers = [
        read_right(runs[name], checkpoint=checkpoint, split="test", prompt=summaries[name].score.headline)
        for _, name, checkpoint in models
    ]
    rows = [DemoRow(label=models[0][0], accuracy=_accuracy(summaries[first], "base"), p_value=None, verdict="")]
    for (before, after), (label, name, checkpoint) in zip(pairwise(answers), models[1:], strict=True):
        groups = read_groups(runs[name])
        asked = list(before)
        found = compare_pairs(
            [before[row] for row in asked],
            [after[row] for row in asked],
            groups=[groups.get(row, f"row {row}") for row in asked],
        )
        verdict = f"{found.outcome()}: {found.fixed} fixed, {found.regressed} lost, p={found.p_value:.2g}"
        accuracy = _accuracy(summaries[name], checkpoint)
        rows.append(DemoRow(label=label, accuracy=accuracy, p_value=found.p_value, verdict=verdict))
    return rows


def _accuracy(summary: RunSummary, checkpoint: str) -> Proportion:
    scores = next(scores for scores in summary.score.checkpoints if scores.name == checkpoint)
    return scores.metrics["test"][summary.score.headline].accuracy
