"""Two processes with DeepSpeed train as one does: the same losses, the same weights, the same folders, and each can go
on from the other. Real processes, over gloo on the loopback."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from tests.models.tiny_run import write_tiny_run
from tests.stages.many_cases import (
    COMMON,
    NUM_ROWS,
    assert_same_weights,
    in_float32,
    interrupt_alone,
    job,
    losses,
    section,
    train_alone,
    write_recipe,
)
from tests.stages.many_runs import ROOT, launch, launch_jobs

from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import read_training, run_training
from nameplate.store.rundir import RunDirectory

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed (nameplate[deepspeed])"
    ),
    pytest.mark.usefixtures("one_thread"),
]

SECTIONS = {
    "everything learns": section("everything learns"),
    "adapters behind a frozen eye": section("adapters behind a frozen eye"),
    "averages": section("language frozen"),
    "layers computed twice": TrainSection.model_validate(
        COMMON
        | {
            "language": {"mode": "frozen"},
            "memory": {"micro_batch_size": 2, "prefix": "off", "checkpointing": True},
            "examples": {"weighting": "square", "augment": "careful"},
        }
    ),
}
STAGES = {
    1: ("everything learns", "averages"),
    2: ("everything learns", "adapters behind a frozen eye", "averages"),
    3: ("everything learns", "adapters behind a frozen eye", "layers computed twice"),
}
CASES = [(stage, case) for stage, cases in STAGES.items() for case in cases]


class Runs(NamedTuple):
    base: Path
    alone: dict[str, RunDirectory]
    together: dict[tuple[int, str], RunDirectory]
    resumed: dict[int, RunDirectory]


def asking(stage: int, folder: Path) -> dict[str, str]:
    """What accelerate puts into the environment. DeepSpeed leaves small weights undivided unless it is told not to."""
    path = folder / f"stage-{stage}.json"
    small = {"reduce_bucket_size": 1000}
    if stage == 3:
        small |= {"stage3_param_persistence_threshold": 0, "sub_group_size": 1000}
    path.write_text(json.dumps({"zero_optimization": {"stage": stage, **small}}))
    return {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": str(path)}


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Runs:
    """Every case once alone and once by two processes, and trainings that two take over from one."""
    folder = tmp_path_factory.mktemp("zero")
    alone = {case: train_alone(folder / f"alone {case}", base, each) for case, each in SECTIONS.items()}
    first = SECTIONS["everything learns"]
    resumed = {stage: interrupt_alone(folder / f"resumed {stage}", base, first) for stage in (2, 3)}
    together = {(stage, case): write_tiny_run(folder / f"{stage} {case}", train=NUM_ROWS) for stage, case in CASES}
    jobs = [job(run, base, SECTIONS[case], asking(stage, folder)) for (stage, case), run in together.items()]
    jobs += [job(run, base, first, asking(stage, folder)) for stage, run in resumed.items()]
    done = launch_jobs(jobs, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return Runs(base, alone, together, resumed)


@pytest.mark.parametrize(("stage", "case"), CASES)
def test_two_processes_have_the_losses_and_weights_of_one(runs: Runs, stage: int, case: str) -> None:
    """Measured worst relative difference of a loss 8e-8, worst difference of a weight 6e-7, in float32."""
    one, two = runs.alone[case], runs.together[stage, case]
    assert losses(two) == pytest.approx(losses(one), rel=1e-6)
    assert_same_weights(one, two, runs.base)


@pytest.mark.parametrize("stage", [2, 3])
def test_two_processes_go_on_where_one_has_stopped(runs: Runs, stage: int) -> None:
    whole, resumed = runs.alone["everything learns"], runs.resumed[stage]
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-6)
    assert losses(resumed)[:3] == losses(whole)[:3]
    assert_same_weights(whole, resumed, runs.base)


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_resume_needs_is_what_one_process_keeps(runs: Runs, stage: int) -> None:
    """Measured worst differences: 2e-8 of 6e-2 in the first moments, 1e-10 of 2e-4 in the second."""
    one, two = runs.alone["everything learns"], runs.together[stage, "everything learns"]
    states = [load_file(run.folder("train") / "resume" / "state.safetensors") for run in (one, two)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=0, atol=1e-7, msg=name)


def test_each_process_holds_what_its_stage_says(runs: Runs) -> None:
    learning = sum(row.trainable for row in read_training(runs.alone["everything learns"]).components)
    for stage in STAGES:
        run = runs.together[stage, "everything learns"]
        layouts = [json.loads((run.root / f"layout-{rank}.json").read_text()) for rank in (0, 1)]
        assert [each["wrapper"] for each in layouts] == ["DeepSpeedEngine"] * 2
        moments = [each["moments"] for each in layouts]
        assert learning <= sum(moments) < 1.01 * learning
        assert max(moments) < 0.51 * learning
        held = [each["numbers"] for each in layouts]
        assert held == ([0, 0] if stage == 3 else [learning] * 2)
        assert read_training(run).components == read_training(runs.alone["everything learns"]).components


@pytest.mark.parametrize("stage", [2, 3])
def test_a_killed_process_ends_its_launch_and_one_alone_goes_on(runs: Runs, stage: int, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "killed", train=NUM_ROWS)
    first = SECTIONS["everything learns"]
    fault = {"rank": 1, "steps": 4, "kind": "kill"}
    done = launch_jobs([job(run, runs.base, first, asking(stage, tmp_path)) | {"fault": fault}], tmp_path)
    assert done.returncode != 0
    assert [folder.name for folder in run.checkpoints.glob("epoch-*")] == ["epoch-01"]
    with in_float32():
        run_training(first, model_section=ModelSection(base=str(runs.base)), run=run, progress=SilentProgress())
    whole = runs.alone["everything learns"]
    assert losses(run) == pytest.approx(losses(whole), rel=1e-6)
    assert_same_weights(whole, run, runs.base)


@pytest.mark.parametrize("stage", [2, 3])
def test_a_gradient_that_is_no_number_stops_all(base: Path, stage: int, tmp_path: Path) -> None:
    """DeepSpeed itself would leave the step out and go on."""
    run = write_tiny_run(tmp_path / "run", train=NUM_ROWS)
    fault = {"rank": 1, "steps": 1, "kind": "overflow"}
    one = SECTIONS["everything learns"]
    done = launch_jobs([job(run, base, one, asking(stage, tmp_path)) | {"fault": fault}], tmp_path)
    assert done.returncode != 0
    assert "train epoch 1 step 2: the norm of the gradient is" in done.stderr
    assert list(run.checkpoints.glob("epoch-*")) == []


def test_the_example_of_a_configuration_starts_a_run(base: Path, tmp_path: Path) -> None:
    part: dict[str, Any] = SECTIONS["adapters behind a frozen eye"].model_dump(mode="json")
    recipe = write_recipe(tmp_path, base, part)
    example = str(ROOT / "examples" / "many-devices" / "zero3.yaml")
    started = (
        "accelerate.commands.launch",
        "--config_file",
        example,
        "--num_processes",
        "2",
        "--main_process_port",
        "0",
    )
    words = ["-m", "nameplate", "train", str(recipe), "--run-dir", str(tmp_path / "run")]
    done = launch(words, tmp_path, launcher=started)
    assert done.returncode == 0, done.stderr
    assert "2 processes, weights, gradients and moments divided" in " ".join(done.stderr.split())
    assert [folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()] == ["epoch-01"]
