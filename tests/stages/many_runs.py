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

from nameplate.cli.running import explaining
from nameplate.errors import TrainingError
from nameplate.models import precision
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import run_training
from nameplate.stages.train.trainer import Bookkeeper, PolicyTrainer
from nameplate.store.rundir import RunDirectory

ROOT = Path(__file__).parents[2]
FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


def launch(words: list[str], folder: Path, *, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    """Start two processes with torch's launcher on a free port of the loopback, and see that none is left behind."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        launcher = subprocess.Popen(
            [*command, "--nproc-per-node", "2", *words], env=environment, stdout=out, stderr=err, cwd=folder
        )
        try:
            launcher.wait(seconds)
        finally:
            # It ends its processes when it is asked to, which are in sessions of their own.
            if launcher.poll() is None:
                launcher.terminate()
                try:
                    launcher.wait(60)
                finally:
                    launcher.kill()
    return subprocess.CompletedProcess(
        words, launcher.returncode, (folder / "out").read_text(), (folder / "err").read_text()
    )


def launch_jobs(jobs: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    """Each job: `root` of the run, `base`, `section`, whether `sharded`, and how one process shall end (`fault`)."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    return launch(["-m", "tests.stages.many_runs", str(path)], folder)


def main() -> None:
    torch.set_num_threads(1)
    precision.compute_dtype = lambda: torch.float32  # type: ignore[assignment]  # products that do not depend on company
    for job in json.loads(Path(sys.argv[1]).read_text()):
        os.environ.update(FSDP2 if job["sharded"] else {})
        run_job(job)
        for name in FSDP2:
            os.environ.pop(name, None)


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
        if not path.exists():
            bucketed = getattr(model, "parameters_to_ignore", None)
            layout = {
                "wrapper": type(model).__name__,
                "divided": sum(isinstance(each, DTensor) for each in model.parameters()),
                "parameters": sum(1 for _ in model.parameters()),
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


FAULTS = {"kill": kill, "fail": fail}

if __name__ == "__main__":
    main()
