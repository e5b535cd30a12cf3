"""The example of docs/compose.md runs as it stands there, in small: compose, align, tune."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

import sizes
from nameplate.cli.app import app
from nameplate.recipe import build_recipe

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
SMALL = ["split.validation=8", "split.test=8", "split.min_per_name=1", "score.prompts=[name]", "score.max_new_tokens=8"]
SMALLER = {"make_parts.py": ["--pictures", "110"], "align.yaml": SMALL, "tune.yaml": [*SMALL, "train.epochs=1"]}
PARTS = {"vision_tower": "vision", "multi_modal_projector": "projector"}


def commands() -> list[list[str]]:
    """Those of the page's first block."""
    block = re.findall(r"^```\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)[0]
    return [shlex.split(line) for line in block.splitlines()]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    script = words[0] == "python"
    extra = SMALLER.get(words[1] if script else words[2], [])
    if script:
        monkeypatch.setattr(sys, "argv", [*words[1:], *extra])
        runpy.run_path(words[1], run_name="__main__")
        return
    overrides = [part for each in extra for part in ("--set", each)]
    done = CliRunner().invoke(app, [*words[1:], *overrides])
    assert done.exit_code == 0, done.output


def changed(before: Path, after: Path) -> set[str]:
    """Parts of the model that are not bit for bit the same in two folders."""
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    # transformers writes older names than ours; the last pieces say the same.
    by_end = {re.sub(r"^(model\.|language_model\.)+", "", name): tensor for name, tensor in old.items()}
    moved = set()
    for name, tensor in new.items():
        end = re.sub(r"^(model\.|language_model\.)+", "", name)
        if not torch.equal(by_end.pop(end), tensor):
            moved.add(
                {"vision_tower": "vision", "multi_modal_projector": "projector"}.get(end.split(".")[0], "language")
            )
    assert not by_end
    return moved


def losses(run_folder: Path) -> list[float]:
    tree: dict[str, Any] = json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))
    return [float(each[1]) for each in tree["train"]["losses"]]


def test_example_composes_aligns_and_tunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (change, make, compose, align, tune) = commands()
    assert change == ["cd", "examples/compose"]
    shutil.copytree(ROOT / change[1], tmp_path / "example", ignore=shutil.ignore_patterns("work"))
    monkeypatch.chdir(tmp_path / "example")
    for words in (make, compose, align, tune):
        run(words, monkeypatch)
    work = tmp_path / "example" / "work"
    aligned, tuned = work / "align" / "checkpoints" / "epoch-04", work / "tune" / "checkpoints" / "epoch-01"
    assert changed(work / "model", aligned) == {"projector"}
    assert changed(aligned, tuned) == {"vision", "projector"}
    first = losses(work / "align")
    assert first[-1] < 0.8 * first[0]
    assert losses(work / "tune")[0] < 0.8 * first[0]
    assert (work / "tune" / "report.html").exists()


def test_sizes_in_the_page_are_those_that_the_script_computes() -> None:
    """The first model's and the tokens' tables; the others come from the same lines."""
    figures = sizes.measure(list(sizes.MODELS)[:1])
    written = PAGE.partition(sizes.BEGIN)[2].partition(sizes.END)[0]
    for block in sizes.tables(figures).split("\n\n"):
        assert block in written
    rows = {row["preset"]: row for row in next(iter(figures["models"].values()))["memory"]}
    parts = next(iter(figures["models"].values()))["parts"]
    # By hand: a frozen parameter is 2 bytes; a learning one 4, with a gradient of 4 and two moments of 4.
    assert rows["projector-only"]["together"] == 2 * (parts["vision"] + parts["language"]) + 16 * parts["projector"]
    assert rows["everything"]["together"] == 16 * sum(parts.values())
    assert rows["everything"]["together_bfloat16"] == 8 * sum(parts.values())


def test_recipes_in_the_page_are_accepted_and_train_what_they_say() -> None:
    align, tune = (
        build_recipe(yaml.safe_load(block), where="docs/compose.md").train
        for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    )
    assert [name for name, policy in align.policies().items() if policy.learns] == ["projector"]
    assert (align.projector.lr, align.projector.weight_decay, align.memory.weights) == (1e-3, 0.0, "float32")
    assert [name for name, policy in tune.policies().items() if policy.learns] == ["vision", "projector"]
