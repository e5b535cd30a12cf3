"""What a process of a launch does in the tests: trainings one after another, each as its job says; some end badly.

`python -m torch.distributed.run --nproc-per-node 2 -m tests.stages.many_runs JOBS.json`
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.nn import functional

from nameplate.cli.running import explaining
from nameplate.errors import TrainingError
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import run_training
from nameplate.stages.train.trainer import Bookkeeper, PolicyTrainer
from nameplate.store.rundir import RunDirectory

ROOT = Path(__file__).parents[2]
LINEAR = functional.linear
FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
TORCHRUN = ("torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2")


def launch(
    words: list[str], folder: Path, *, launcher: tuple[str, ...] = TORCHRUN, seconds: float = 240
) -> subprocess.CompletedProcess[str]:
    """Start two processes with a launcher on a free port of the loopback, and see that none is left behind."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        started = subprocess.Popen(
            [sys.executable, "-m", *launcher, *words], env=environment, stdout=out, stderr=err, cwd=folder
        )
        try:
            started.wait(seconds)
        finally:
            # It ends its processes when it is asked to, which are in sessions of their own.
            if started.poll() is None:
                started.terminate()
                try:
                    started.wait(60)
                finally:
                    started.kill()
    return subprocess.CompletedProcess(
        words, started.returncode, (folder / "out").read_text(), (folder / "err").read_text()
    )


def launch_jobs(jobs: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    """Each job: `root` of the run, `base`, `section`, accelerate's part of the `environment`, a process's `fault`."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    return launch(["-m", "tests.stages.many_runs", str(path)], folder)


def main() -> None:
    torch.set_num_threads(1)
    torch.cpu._is_amx_tile_supported = lambda: False  # products in float32, which do not depend on company
    for job in json.loads(Path(sys.argv[1]).read_text()):
        os.environ.update(job["environment"])
        run_job(job)
        for name in job["environment"]:
            del os.environ[name]


def run_job(job: dict[str, Any]) -> None:
    root = Path(job["root"])
    _note_layout(root)
    fault = job.get("fault")
    if fault is not None and os.environ["RANK"] == str(fault["rank"]):
        _after_steps(fault["steps"], FAULTS[fault["kind"]])
    section = TrainSection.model_validate(job["section"])
    with explaining():
        run_training(
            section, model_section=ModelSection(base=job["base"]), run=RunDirectory(root), progress=SilentProgress()
        )


def _note_layout(root: Path) -> None:
    """Write down what the wrapped model is made of when its first batch goes through: not what we think it is."""
    compute = PolicyTrainer.compute_loss
    path = root / f"layout-{os.environ['RANK']}.json"

    def computing(self: PolicyTrainer, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        assert functional.linear is LINEAR, "what is outside of the model has a product of DeepSpeed's"
        if not path.exists():
            bucketed = getattr(model, "parameters_to_ignore", None)
            layout = {
                "wrapper": type(model).__name__,
                "divided": sum(isinstance(each, DTensor) for each in model.parameters()),
                "parameters": sum(1 for _ in model.parameters()),
                "numbers": sum(each.numel() for each in model.parameters()),
                "moments": sum(state["exp_avg"].numel() for state in self.optimizer.state.values()),
                "ignored": len(bucketed) if bucketed is not None else 0,
                "rows": len(inputs["rows"]),
            }
            path.write_text(json.dumps(layout))
        return compute(self, model, inputs, *arguments, **named)

    PolicyTrainer.compute_loss = computing  # type: ignore[method-assign]


def _after_steps(steps: int, end: Callable[[], None]) -> None:
    on_step_end = Bookkeeper.on_step_end
    left = [steps]

    def ending(self: Bookkeeper, *arguments: Any, **named: Any) -> None:
        on_step_end(self, *arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            end()

    Bookkeeper.on_step_end = ending  # type: ignore[method-assign]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise TrainingError("here", found="something that only this process sees")


def overflow() -> None:
    """The loss of the next micro-batch stays what it is, and its gradient is no number."""
    compute = PolicyTrainer.compute_loss

    def computing(self: PolicyTrainer, *arguments: Any, **named: Any) -> Any:
        loss = compute(self, *arguments, **named)
        return loss + (loss - loss.detach()) * torch.inf

    PolicyTrainer.compute_loss = computing  # type: ignore[method-assign]


FAULTS = {"kill": kill, "fail": fail, "overflow": overflow}

if __name__ == "__main__":
    main()
