"""Training and scoring with what was computed before: the same losses, the same answers, less work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.models.tiny_run import NAMES, write_tiny_run

from nameplate.errors import RecipeError
from nameplate.models.prefix.costs import Cost
from nameplate.models.prefix.frozen import FrozenPrefix
from nameplate.names import build_registry
from nameplate.progress import SilentProgress
from nameplate.recipe import GuardSection, MemorySection, ModelSection, ScoreSection, TrainSection
from nameplate.recipe.training import PrefixLevel
from nameplate.stages.score import run_scoring
from nameplate.stages.train import prefix as choosing
from nameplate.store.rundir import RunDirectory

from .kill_points import StopAfter
from .listening import Listener
from .scored_run import train

FULL = {"mode": "full", "lr": 1e-3}
FROZEN = {"mode": "frozen"}
LAST = {"mode": "last", "num_layers": 1, "lr": 1e-2}
GB = 1 << 30


pytestmark = pytest.mark.usefixtures("one_thread", "single_precision")


def section(prefix: str = "auto", *, max_bytes: int = GB, **changes: Any) -> TrainSection:
    values: dict[str, Any] = {
        "vision": FROZEN,
        "projector": FULL,
        "language": FROZEN,
        "epochs": 3,
        "checkpoint_every_epochs": 3,
        "batch_size": 4,
        "memory": {"micro_batch_size": 2, "prefix": prefix, "prefix_max_bytes": max_bytes},
    }
    return TrainSection.model_validate(values | changes)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The level of each value that is computed."""
    seen: list[str] = []
    compute = FrozenPrefix.compute

    def counting(self: FrozenPrefix, items: Any) -> Any:
        seen.extend([self.level] * len(items))
        return compute(self, items)

    monkeypatch.setattr(FrozenPrefix, "compute", counting)
    return seen


@pytest.mark.parametrize(
    ("level", "policies"),
    [
        ("tiles", {"vision": FULL}),
        ("vision", {}),
        ("projected", {"projector": FROZEN, "language": {"mode": "lora", "lr": 1e-2, "rank": 4}}),
        ("hidden", {"projector": FROZEN, "language": LAST}),
    ],
)
def test_losses_are_those_of_pixels(tmp_path: Path, base: Path, level: str, policies: dict[str, Any]) -> None:
    pixels = train(write_tiny_run(tmp_path / "pixels"), base, section("off", **policies))
    said = Listener()
    kept = train(write_tiny_run(tmp_path / "kept"), base, section(level, **policies), said)
    for (_, found), (_, wanted) in zip(kept.losses, pixels.losses, strict=True):
        assert found == (pytest.approx(wanted, rel=1e-6) if level == "hidden" else wanted)
    assert len(said.about(f"({level})")) == 1
    assert "saves about" in said.about(f"({level})")[0]


def test_a_second_training_with_the_same_frozen_part_computes_nothing(
    tmp_path: Path, base: Path, computed: list[str]
) -> None:
    first = write_tiny_run(tmp_path / "a")
    train(RunDirectory(first.root, store=first.store), base, section("vision"))
    before = len(computed)
    second = write_tiny_run(tmp_path / "b")
    shared = RunDirectory(second.root, store=first.store)
    said = Listener()
    train(shared, base, section("vision", language={"mode": "lora", "rank": 4}), said)
    # The batch that shows what computing would have taken.
    assert len(computed) - before <= 2 * 12
    assert "of which 12 are there" in said.about("(vision)")[0]


@pytest.mark.parametrize("then", ["off", "vision", "auto"])
def test_a_resumed_training_may_keep_another_level(tmp_path: Path, base: Path, then: str) -> None:
    often = {"checkpoint_every_epochs": 1}
    undisturbed = train(write_tiny_run(tmp_path / "a"), base, section("off", **often))
    run = write_tiny_run(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        train(run, base, section("vision", **often), StopAfter(4))
    said = Listener()
    assert train(run, base, section(then, **often), said).losses == undisturbed.losses
    assert said.about("goes on after epoch 1")


def test_the_choice_of_what_is_kept_is_no_part_of_what_is_learned() -> None:
    assert section("off").without_means() == section("vision", max_bytes=5).without_means()
    assert section("off").without_means() != section("off", epochs=4).without_means()


def _costs(monkeypatch: pytest.MonkeyPatch, seconds: dict[PrefixLevel, float]) -> None:
    def priced(prefix: FrozenPrefix, items: Any) -> Cost:
        count = len(prefix.missing(items))
        each = seconds.get(prefix.level, 0.0)
        return Cost(prefix.level, count, count, 1000, each, each, write_seconds=0.001, read_seconds=0.001)

    monkeypatch.setattr(choosing, "try_level", priced)


def test_by_itself_it_keeps_what_saves_most_and_says_so(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    _costs(monkeypatch, {"tiles": 0.0, "projected": 1.0, "hidden": 2.0})
    run, said = write_tiny_run(tmp_path), Listener()
    # Every row both ways: 24 examples of 12 images.
    wanted = section(projector=FROZEN, language=LAST, epochs=9, checkpoint_every_epochs=9)
    train(run, base, wanted, said)
    assert set(computed) == {"hidden"}
    assert len(said.about("train: kept:")) == 1
    assert "(hidden)" in said.about("train: kept:")[0]


def test_it_says_why_nothing_is_kept(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    _costs(monkeypatch, {"vision": 1.0})
    said = Listener()
    train(write_tiny_run(tmp_path), base, section(epochs=1), said)
    assert computed == []
    assert "one epoch is left" in said.about("not kept: vision")[0]


def test_a_resumed_training_goes_on_with_the_level_it_had(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    run = write_tiny_run(tmp_path)
    _costs(monkeypatch, {"vision": 1.0})
    often = section(epochs=4, checkpoint_every_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        train(run, base, often, StopAfter(4))
    assert computed
    # Now it would not pay any more; but then rounding might differ from the first epochs'.
    _costs(monkeypatch, {})
    said = Listener()
    train(run, base, often, said)
    assert len(said.about("train: kept:")) == 1


@pytest.mark.parametrize(
    ("level", "changes", "why"),
    [
        ("vision", {"vision": FULL}, "vision learns"),
        ("projected", {}, "projector learns"),
        ("hidden", {}, "projector learns"),
        ("tiles", {"examples": {"augment": "careful"}}, "augment"),
    ],
)
def test_a_recipe_that_names_a_wrong_level_is_refused(level: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        section(level, **changes)


def test_a_level_that_only_the_model_shows_to_be_wrong_is_refused_before_work(
    tmp_path: Path, base: Path, computed: list[str]
) -> None:
    run = write_tiny_run(tmp_path)
    deep = {"mode": "last", "num_layers": 2, "lr": 1e-2}
    with pytest.raises(RecipeError, match="its first layer learns"):
        train(run, base, section("hidden", projector=FROZEN, language=deep))
    assert computed == []
    assert not run.prefix.exists()


def test_a_small_budget_keeps_a_part_and_changes_no_loss(tmp_path: Path, base: Path) -> None:
    pixels = train(write_tiny_run(tmp_path / "pixels"), base, section("off"))
    run, said = write_tiny_run(tmp_path / "kept"), Listener()
    kept = train(run, base, section("vision", max_bytes=9000), said)
    assert kept.losses == pixels.losses
    assert "fits, the rest is computed every time" in said.about("(vision)")[0]


def test_a_damaged_store_is_mended(tmp_path: Path, base: Path) -> None:
    run = write_tiny_run(tmp_path)
    first = train(run, base, section("vision"))
    for path in run.prefix.glob("*/*.safetensors"):
        data = bytearray(path.read_bytes())
        data[-900] ^= 1
        path.write_bytes(data)
    (run.folder("train") / "resume" / "state.safetensors").unlink()
    assert train(run, base, section("vision")).losses == first.losses


def test_base_and_checkpoints_look_once_at_each_held_out_image(tmp_path: Path, base: Path, computed: list[str]) -> None:
    run = write_tiny_run(tmp_path)
    train(run, base, section("off", epochs=2, checkpoint_every_epochs=1))
    assert computed == []
    scored: dict[str, Any] = {
        "model_section": ModelSection(base=str(base)),
        "registry": build_registry(dict.fromkeys(NAMES, 10)),
        "progress": SilentProgress(),
    }
    # Held-out images alone: no training rows, and none without a name.
    asking = ScoreSection(max_new_tokens=8, batch_size=4, train_rows=0, guards=GuardSection(rows=0))
    off = run_scoring(asking, run=run, memory=MemorySection(prefix="off"), **scored)
    assert computed == []
    run.prediction_journal.unlink()
    kept = run_scoring(asking, run=run, **scored)
    assert kept == off
    # Four of validation, four of test, for the base and two checkpoints.
    assert computed == ["vision"] * 8


_TRAINS = """
import sys, torch
from pathlib import Path
from nameplate.models.prefix import frozen
from nameplate.progress import SilentProgress
from nameplate.recipe import ModelSection, TrainSection
from nameplate.stages.train import run_training
from nameplate.store.rundir import RunDirectory
torch.cpu._is_amx_tile_supported = torch.cuda.is_bf16_supported = lambda: False
frozen.IMAGES_AT_ONCE, frozen.SEGMENT_ENTRIES = 2, 2
torch.set_num_threads(1)
compute, done = frozen.FrozenPrefix.compute, []
def counting(self, items):
    done.append(1)
    if len(done) == 5:
        print("halfway", flush=True)
        sys.stdin.read()
    return compute(self, items)
frozen.FrozenPrefix.compute = counting
section = TrainSection.model_validate_json(sys.argv[3])
run, model_section = RunDirectory(Path(sys.argv[1])), ModelSection(base=sys.argv[2])
run_training(section, model_section=model_section, run=run, progress=SilentProgress())
"""


def test_kill_while_looking_at_images_keeps_what_was_seen(tmp_path: Path, base: Path, computed: list[str]) -> None:
    run, wanted = write_tiny_run(tmp_path), section("vision", epochs=1, checkpoint_every_epochs=1)
    command = [sys.executable, "-c", _TRAINS, str(run.root), str(base), wanted.model_dump_json()]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "halfway\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    said = Listener()
    train(run, base, wanted, said)
    assert "are there" in said.about("(vision)")[0]
