"""Two processes train as one does: the same losses, the same weights, the same folders, and each can go on from the
other. Real processes, over gloo on the loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.models.tiny_run import write_tiny_run
from tests.stages.many_cases import (
    CASES,
    NUM_ROWS,
    assert_same_weights,
    interrupt_alone,
    job,
    losses,
    section,
    train_alone,
)
from tests.stages.many_runs import FSDP2, launch_jobs

from nameplate.models.images import ImageCache
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.recipe import ExamplesSection
from nameplate.stages.train import read_training
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.ranks.deal import DealtPlan
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.reading import read_training_rows
from nameplate.store.rundir import RunDirectory

KINDS = {"DDP": {}, "FSDP2": FSDP2}


class Runs(NamedTuple):
    base: Path
    alone: dict[str, RunDirectory]
    together: dict[tuple[str, str], RunDirectory]
    resumed: RunDirectory


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Runs:
    """Every case once alone and once by two processes in either way, and a training that two take over from one."""
    folder = tmp_path_factory.mktemp("many")
    alone = {case: train_alone(folder / f"alone {case}", base, section(case)) for case in CASES}
    resumed = interrupt_alone(folder / "resumed", base, section("everything learns"))
    together = {
        (kind, case): write_tiny_run(folder / f"{kind} {case}", train=NUM_ROWS) for kind in KINDS for case in CASES
    }
    jobs = [job(run, base, section(case), KINDS[kind]) for (kind, case), run in together.items()]
    jobs.append(job(resumed, base, section("everything learns"), FSDP2))
    done = launch_jobs(jobs, folder)
    assert done.returncode == 0, done.stderr
    return Runs(base, alone, together, resumed)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_losses_and_weights_of_one(runs: Runs, kind: str, case: str) -> None:
    """Measured worst relative difference of a loss 6e-8 in float32."""
    one, two = runs.alone[case], runs.together[kind, case]
    assert losses(two) == pytest.approx(losses(one), rel=1e-6 if case != "orthogonal steps" else 1e-5)
    # Muon multiplies in bfloat16, so that a difference in the last bit of a gradient becomes one of 5e-4 in a weight.
    assert_same_weights(one, two, runs.base, tolerance=2e-3 if case == "orthogonal steps" else 1e-5)


def test_two_processes_go_on_where_one_has_stopped(runs: Runs) -> None:
    whole, resumed = runs.alone["everything learns"], runs.resumed
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-6)
    assert losses(resumed)[:3] == losses(whole)[:3]
    assert_same_weights(whole, resumed, runs.base)


def test_what_is_frozen_is_neither_held_nor_sent_by_ddp(runs: Runs) -> None:
    run = runs.together["DDP", "adapters behind a frozen eye"]
    layout = json.loads((run.root / "layout-1.json").read_text())
    summary = read_training(run)
    assert layout["wrapper"] == "DistributedDataParallel"
    assert layout["divided"] == 0
    learning = 6 + 2 * 2 * 7  # the projector, and two adapters on each of seven products in two layers
    assert layout["parameters"] - layout["ignored"] <= learning < layout["parameters"]
    assert {row.component: row.trainable > 0 for row in summary.components} == {
        "vision": False,
        "projector": True,
        "language": True,
    }


def test_fsdp_divides_every_weight_and_saves_them_whole(runs: Runs) -> None:
    run = runs.together["FSDP2", "adapters behind a frozen eye"]
    for rank in (0, 1):
        layout = json.loads((run.root / f"layout-{rank}.json").read_text())
        assert layout["divided"] == layout["parameters"] > 0
    alone = runs.alone["adapters behind a frozen eye"]
    for name in ("model.safetensors", "adapter/adapter_model.safetensors", "nameplate.json", "tokenizer.json"):
        sizes = [(each.checkpoints / "epoch-01" / name).stat().st_size for each in (alone, run)]
        assert sizes[0] == pytest.approx(sizes[1], abs=16), name


def test_a_step_is_dealt_out_evenly_and_nobody_is_left_behind(tmp_path: Path, runs: Runs) -> None:
    run = write_tiny_run(tmp_path, train=NUM_ROWS)
    images = ImageCache(run.images, load_processor(runs.base))
    rows = read_training_rows(run, images, PROMPTS, max_tokens=192)
    plan = EpochPlan(rows, batch_size=5, micro_batch_size=2, section=ExamplesSection(), seed=0)
    alone = list(plan)
    assert list(DealtPlan(plan, Ranks())) == alone
    for size in (2, 3, 8):
        shares = [DealtPlan(plan, Ranks(rank, size)) for rank in range(size)]
        batches = [list(share) for share in shares]
        assert [len(share) for share in shares] == [len(own) for own in batches] == [len(batches[0])] * size
        assert sorted(index for own in batches for batch in own for index in batch) == sorted(
            index for batch in alone for index in batch
        )
        passes = shares[0].accumulation
        assert passes == -(-5 // (2 * size))
        for start, step in ((0, alone[:3]), (passes, alone[3:6])):
            dealt = [index for own in batches for batch in own[start : start + passes] for index in batch]
            assert sorted(dealt) == sorted(index for batch in step for index in batch)
            assert {len(batch) for own in batches for batch in own[start : start + passes]} <= {0, 1, 2}
