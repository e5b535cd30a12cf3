"""`nameplate plan`: what a training will take, by data sheet, by table, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.models.tiny_model import write_tiny_model
from tests.models.tiny_run import write_tiny_run
from typer.testing import CliRunner

from nameplate.cli.app import app

ALIKE = ("--set", "train.examples.name_question_share=0")
"""All examples are of one length: one rehearsal does for work and memory."""
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    base = write_tiny_model(folder / "base", tie=False)
    path = folder / "recipe.yaml"
    train = "{preset: frozen-vision, epochs: 4, batch_size: 6, memory: {micro_batch_size: 3}}"
    path.write_text(f"table: {{source: t.csv}}\nmodel: {{base: {base}}}\ntrain: {train}\n")
    return path


def planned(recipe: Path, *options: str) -> dict[str, Any]:
    run_dir = ("--run-dir", str(recipe.parent / "none")) if "--run-dir" not in options else ()
    done = CliRunner().invoke(app, ["plan", str(recipe), "--hardware", "a100", "--json", *run_dir, *options])
    assert done.exit_code == 0, done.output
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def test_every_figure_follows_from_those_it_is_said_to_come_from(recipe: Path) -> None:
    plan = planned(recipe, "--rows", "600", "--caption-words", "30", "--utilisation", "0.5")
    load, rate = plan["workload"], 312e12 * 0.5
    assert (load["rows"], load["steps"], load["micro_batches"]) == (600, 100, 200)
    for line in plan["work"]:
        assert line["flops"] == 2 * line["rows"] * line["weights"] or not line["rows"]
    passes = load["micro_batches"] * plan["epochs"]
    timed = {line["what"]: line for line in plan["time"]}
    # The tower is frozen: it works in the forward pass alone.
    assert "vision, backward" not in timed
    for part in ("projector", "language", "head"):
        for direction, steps in (("forward", {"forward"}), ("backward", {"input_gradient", "weight_gradient"})):
            flops = sum(w["flops"] for w in plan["work"] if w["part"] == part and w["step"] in steps)
            line = timed[f"{part}, {direction}"]
            assert line["flops"] == pytest.approx(flops * passes)
            assert line["seconds"] == pytest.approx(flops * passes / rate)
    learning = sum(row["trainable"] for row in plan["parts"])
    (optimizer,) = [line for line in plan["time"] if line["what"].startswith("optimizer")]
    assert optimizer["seconds"] == pytest.approx(9 * 4 * learning * load["steps"] * 4 / 2.039e12)
    assert plan["seconds"] == pytest.approx(sum(line["seconds"] for line in plan["time"]))
    memory = plan["memory"]
    assert (memory["optimizer"], memory["gradients"]) == (8 * learning, 4 * learning)
    parts = ("weights", "optimizer", "average", "gradients", "activations", "passing")
    assert memory["total"] == sum(memory[part] for part in parts)
    assert memory["process"] == 0, "a GPU's memory holds no Python"


def test_rows_and_texts_of_the_run_are_counted(recipe: Path, tmp_path: Path) -> None:
    write_tiny_run(tmp_path / "run", train=14)
    plan = planned(recipe, "--run-dir", str(tmp_path / "run"))
    assert plan["workload"]["rows"] == 14
    assert any("14 examples an epoch, the training rows of" in line for line in plan["said"])
    assert not any("assumed" in line for line in plan["said"] if "words" in line)
    stated = planned(recipe, "--run-dir", str(tmp_path / "run"), "--rows", "1000")
    assert stated["workload"]["rows"] == 1000
    assert stated["workload"]["text_tokens"] == pytest.approx(plan["workload"]["text_tokens"], rel=0.1)


def test_nothing_is_written(recipe: Path) -> None:
    before = sorted(recipe.parent.rglob("*"))
    planned(recipe)
    assert sorted(recipe.parent.rglob("*")) == before


def test_kept_prefix_is_computed_once(recipe: Path) -> None:
    without = planned(recipe, "--set", "train.memory.prefix='off'")
    kept = planned(recipe, "--set", "train.memory.prefix=vision")
    assert (without["prefix"], kept["prefix"]) == ("off", "vision")
    once = {line["what"]: line["flops"] for line in kept["time"]}["vision, forward, once"]
    always = {line["what"]: line["flops"] for line in without["time"]}["vision, forward"]
    assert always == pytest.approx(4 * once)
    (level,) = [each for each in kept["prefixes"] if each["level"] == "vision"]
    # 4 tokens of one tile, 2 x 2 patches of width 32 each, in float32: the base is stored so.
    assert level["bytes"] == kept["workload"]["images"] * 4 * 128 * 4


def test_what_is_not_counted_is_said(recipe: Path) -> None:
    plain = planned(recipe)
    assert not any("train." in line for line in plain["said"])
    assert any(f"there is no table in {recipe.parent / 'none'} yet" in line for line in plain["said"])
    quantised = planned(
        recipe,
        "--set",
        "train.preset=projector-only",
        "--set",
        "train.memory.quantise=nf4",
        "--set",
        "train.optimizer.name=adamw_8bit",
    )
    said = " ".join(quantised["said"])
    assert "train.memory.quantise=nf4: counted in memory; the time to unpack weights is not" in said
    assert "train.optimizer.name=adamw_8bit: counted in memory; the time of its steps is AdamW's" in said
    assert quantised["memory"]["weights"] < planned(recipe, "--set", "train.preset=projector-only")["memory"]["weights"]


def test_attention_by_name_is_rehearsed(recipe: Path) -> None:
    fused, plain = (planned(recipe, *ALIKE, "--set", f"train.memory.attention={name}") for name in ("sdpa", "eager"))
    # Scores are kept for the backward pass.
    assert plain["memory"]["activations"] > fused["memory"]["activations"]
    assert planned(recipe, *ALIKE)["memory"] == fused["memory"]


def test_a_launch_is_planned_as_one_device(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = planned(recipe, *ALIKE)
    monkeypatch.setenv("WORLD_SIZE", "4")
    done = CliRunner().invoke(app, ["plan", str(recipe), "--hardware", "a100", "--json", *ALIKE])
    assert "a plan is of one device, however many are launched" in done.stderr
    assert json.loads(done.stdout)["memory"] == alone["memory"]


def test_one_row_for_each_preset(recipe: Path) -> None:
    done = CliRunner().invoke(app, ["plan", str(recipe), "--hardware", "h100", "--presets", *ALIKE])
    assert done.exit_code == 0, done.output
    rows = [line.split()[0] for line in done.output.splitlines() if line.strip()]
    for preset in ("frozen-language", "frozen-vision", "projector-only", "recommended", "everything"):
        assert rows.count(preset) == 1


def test_here_is_measured_and_shown(recipe: Path) -> None:
    done = CliRunner().invoke(app, ["plan", str(recipe)])
    assert done.exit_code == 0, done.output
    assert "on this machine (" in done.output
    assert "Time, by the speed that one layer of each part reaches here (measured):" in done.output
    assert "GB  Python and libraries, as this process holds them" in done.output
    assert "it fits" in done.output
    done = CliRunner().invoke(app, ["plan", str(recipe), "--json"])
    memory = json.loads(done.stdout)["memory"]
    tensors = [memory[part] for part in ("weights", "optimizer", "average", "gradients", "activations", "passing")]
    assert memory["process"] > 100_000_000 and memory["total"] == memory["process"] + sum(tensors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hardware", "tpu"), "'tpu' is not one of"),
        (("--hardware", "h100", "--utilisation", "1.5"), "less than or equal to 1"),
        (("--utilisation", "0.5"), "--utilisation goes with a data sheet"),
        (("--image-size", "1000"), "'1000' is no size such as 1000x750"),
        (("--image-size", "0x5"), "'0x5' is no size such as 1000x750"),
        (("--rows", "0"), "greater than or equal to 1"),
        (("--hardware", "h100", "--set", "model.base=./nowhere"), "no such folder"),
        (("--hardware", "h100", "--set", "train.memory.prefix=projected"), "cannot be kept"),
        (("--hardware", "h100", "--set", "train.memory.compile=on"), "train.memory.compile: on, on cuda"),
        (("--set", "train.memory.attention=flex_attention"), "train.memory.attention: flex_attention"),
        (("--caption-words", "1000"), "an example of 1,3"),
    ],
)
def test_what_makes_no_sense_is_refused(recipe: Path, options: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, ["plan", str(recipe), *options])
    assert done.exit_code == 2
    assert message in " ".join((done.output + done.stderr).replace("\u2502", " ").split())
